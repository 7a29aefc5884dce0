"""WGAN-GP: a discriminator (the paper's critic) that measures the Wasserstein distance, kept smooth by a penalty."""

from typing import cast

import torch
from torch import Tensor

from gan_models.config import ImageConfig, TrainConfig, WganGpConfig
from gan_models.images.randomness import Random
from gan_models.losses.adversarial import ADVERSARIAL_LOSSES
from gan_models.losses.penalties import wasserstein_gradient_penalty
from gan_models.networks.dcgan_discriminator import DcganDiscriminator
from gan_models.networks.dcgan_generator import DcganGenerator
from gan_models.recipes.base import Batch
from gan_models.recipes.generation import GenerationRecipe
from gan_models.recipes.gradients import frozen


def build_generator(config: WganGpConfig, image: ImageConfig, num_labels: int) -> DcganGenerator:
    """Return the generator of a `wgan_gp` config, untrained."""
    labels = num_labels if config.conditional else 0
    return DcganGenerator(image.size, image.channels, config.width, config.latent_dim, labels, config.upsample)


class WganGpRecipe(GenerationRecipe):
    """Several updates of the discriminator for one of the generator (Gulrajani et al. 2017, arXiv 1704.00028).

    All updates of a step see the same real images, with fresh latents and fresh points for the penalty, so that a
    generator's update costs one batch of the data as with the other recipes.
    """

    def __init__(self, config: TrainConfig, num_labels: int, device: torch.device) -> None:
        self.recipe = cast(WganGpConfig, config.recipe)
        super().__init__(config, build_generator(self.recipe, config.image, num_labels), device)
        self.loss = ADVERSARIAL_LOSSES["wasserstein"]
        discriminator = DcganDiscriminator(
            config.image.size, config.image.channels, self.recipe.width, self.num_labels, "none"
        )
        self.networks["discriminator"] = self.place(discriminator)
        self.optimizers = {name: self.adam(network, self.recipe.betas) for name, network in self.networks.items()}

    def training_step(self, batch: Batch, step: int, random: Random) -> dict[str, Tensor]:
        """Update the discriminator `discriminator_steps` times, then the generator."""
        generator, discriminator = self.networks["generator"].train(), self.networks["discriminator"].train()
        labels, num = self.labels_of(batch), len(batch.images)
        self.set_learning_rates(step)
        for _ in range(self.recipe.discriminator_steps):
            values = self._train_discriminator(batch.images, labels, random)
        with frozen(discriminator), self.autocast():
            fakes = generator(self.latents(num, random), labels)
            generator_loss = self.loss.on_generator(discriminator(fakes, labels).float()).mean()
        norm = self.update(generator_loss, "generator")
        return {**values, "loss/generator": generator_loss.detach(), "health/gradient_norm_generator": norm}

    def _train_discriminator(self, reals: Tensor, labels: Tensor | None, random: Random) -> dict[str, Tensor]:
        discriminator, both = self.networks["discriminator"], None if labels is None else torch.cat([labels, labels])
        with torch.no_grad(), self.autocast():
            fakes = self.networks["generator"](self.latents(len(reals), random), labels).float()
        with self.autocast():
            real_logits, fake_logits = discriminator(torch.cat([reals, fakes]), both).float().tensor_split(2)
        penalty = wasserstein_gradient_penalty(lambda images: discriminator(images, labels), reals, fakes, random)
        loss = self.loss.on_discriminator(real_logits, fake_logits).mean()
        norm = self.update(loss + self.recipe.penalty * penalty, "discriminator")
        accuracy_real, accuracy_fake = self.loss.accuracies(real_logits, fake_logits)
        return {
            "loss/discriminator": (loss + self.recipe.penalty * penalty).detach(),
            "loss/wasserstein_distance": -loss.detach(),
            "loss/gradient_penalty": penalty.detach(),
            "health/discriminator_accuracy_real": accuracy_real,
            "health/discriminator_accuracy_fake": accuracy_fake,
            "health/gradient_norm_discriminator": norm,
        }


build_recipe = WganGpRecipe
