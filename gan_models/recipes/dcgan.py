"""DCGAN: images out of noise, of a class where there are labels."""

from contextlib import nullcontext
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from gan_models.config import DcganConfig, ImageConfig, TrainConfig
from gan_models.images.augmentation import diff_augment
from gan_models.images.randomness import Random
from gan_models.losses.adversarial import ADVERSARIAL_LOSSES
from gan_models.losses.penalties import r1_penalty
from gan_models.networks.dcgan_discriminator import DcganDiscriminator
from gan_models.networks.dcgan_generator import DcganGenerator
from gan_models.recipes.base import Batch, Preview, Recipe, Task, frozen, tile

PREVIEW_ROWS = 8
PREVIEW_COLUMNS = 10


def build_generator(config: DcganConfig, image: ImageConfig, num_labels: int) -> DcganGenerator:
    """The generator of a `dcgan` config, untrained."""
    labels = num_labels if config.conditional else 0
    return DcganGenerator(image.size, image.channels, config.width, config.latent_dim, labels)


class DcganRecipe(Recipe):
    """DCGAN with a projection discriminator and the R1 penalty."""

    task: ClassVar[Task] = "generate"

    def __init__(self, config: TrainConfig, num_labels: int, device: torch.device) -> None:
        super().__init__(config, device)
        self.recipe = cast(DcganConfig, config.recipe)
        self.loss = ADVERSARIAL_LOSSES[self.recipe.loss]
        generator = build_generator(self.recipe, config.image, num_labels)
        self.num_labels = generator.num_labels
        discriminator = DcganDiscriminator(
            config.image.size, config.image.channels, self.recipe.width, self.num_labels, self.recipe.discriminator_norm
        )
        self.networks = {"generator": self.place(generator), "discriminator": self.place(discriminator)}
        self.optimizers = {name: self.adam(network, self.recipe.betas) for name, network in self.networks.items()}

    def training_step(self, batch: Batch, step: int, random: Random) -> dict[str, Tensor]:
        """One update of the discriminator, then one of the generator."""
        generator, discriminator = self.networks["generator"].train(), self.networks["discriminator"].train()
        labels = batch.labels if self.num_labels else None
        self.set_learning_rates(step)

        with torch.no_grad(), self.autocast():
            fakes = generator(self._latents(len(batch.images), random), labels).float()
        reals = self._augment(batch.images, random).detach().requires_grad_(self.recipe.r1_gamma > 0)
        with self.autocast() if self.recipe.r1_gamma == 0 else nullcontext():  # the penalty's gradients take float32
            real_logits = discriminator(reals, labels).float()
        with self.autocast():
            fake_logits = discriminator(self._augment(fakes, random), labels).float()
        discriminator_loss = self.loss.real(real_logits).mean() + self.loss.fake(fake_logits).mean()
        penalty = r1_penalty(real_logits, reals) if self.recipe.r1_gamma else torch.zeros((), device=self.device)
        discriminator_loss = discriminator_loss + self.recipe.r1_gamma / 2 * penalty
        discriminator_norm = self.update(discriminator_loss, "discriminator")

        with frozen(discriminator), self.autocast():
            fakes = generator(self._latents(len(batch.images), random), labels).float()
            logits = discriminator(self._augment(fakes, random), labels).float()
        generator_loss = self.loss.generator(logits).mean()
        generator_norm = self.update(generator_loss, "generator")

        threshold = 0.5 if self.recipe.loss == "lsgan" else 0.0
        return {
            "loss/discriminator": discriminator_loss.detach(),
            "loss/generator": generator_loss.detach(),
            "loss/r1_penalty": penalty.detach(),
            "health/discriminator_accuracy_real": (real_logits > threshold).float().mean(),
            "health/discriminator_accuracy_fake": (fake_logits < threshold).float().mean(),
            "health/gradient_norm_discriminator": discriminator_norm,
            "health/gradient_norm_generator": generator_norm,
        }

    def preview(self, network: nn.Module, batch: Batch, random: Random) -> Preview:
        """A grid with one column per label (ten at most), one latent per image.

        `health/diversity` is the standard deviation of a pixel over images of one label, averaged, on [0, 1].
        """
        columns = min(self.num_labels, PREVIEW_COLUMNS) or PREVIEW_COLUMNS
        labels = torch.arange(columns, device=self.device).repeat(PREVIEW_ROWS) if self.num_labels else None
        with torch.no_grad():
            images = network(self._latents(PREVIEW_ROWS * columns, random), labels).float()
        diversity = images.reshape(PREVIEW_ROWS, columns, -1).std(dim=0).mean() / 2
        return Preview(tile(images, columns), {"health/diversity": diversity.item()})

    def _augment(self, images: Tensor, random: Random) -> Tensor:
        return diff_augment(images, random) if self.recipe.augment else images

    def _latents(self, num: int, random: Random) -> Tensor:
        return random.normal(num, self.recipe.latent_dim)
