"""What the recipes that draw images share: latents, the preview, and the adversarial training step."""

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn

from gan_models.config import TrainConfig
from gan_models.images.pixels import make_grid
from gan_models.images.randomness import Random
from gan_models.losses.adversarial import AdversarialLoss
from gan_models.losses.penalties import gradient_penalties
from gan_models.recipes.base import Batch, Preview, Recipe
from gan_models.recipes.gradients import frozen

PREVIEW_ROWS = 8
PREVIEW_COLUMNS = 10


class GenerationRecipe(Recipe):
    """A recipe whose `generator` turns latents [N, latent_dim] and labels [N] into images."""

    def __init__(self, config: TrainConfig, generator: nn.Module, device: torch.device) -> None:
        super().__init__(config, device)
        self.networks = {"generator": self.place(generator)}
        self.latent_dim = cast(int, generator.latent_dim)
        self.num_labels = cast(int, generator.num_labels)

    def preview(self, network: nn.Module, batch: Batch, random: Random) -> Preview:
        """Show a grid with one column per label (ten at most), one latent per image.

        `health/diversity` is the standard deviation of a pixel over images of one label, averaged, on [0, 1].
        """
        columns = min(self.num_labels, PREVIEW_COLUMNS) or PREVIEW_COLUMNS
        labels = torch.arange(columns, device=self.device).repeat(PREVIEW_ROWS) if self.num_labels else None
        with torch.no_grad():
            images = network(self.latents(PREVIEW_ROWS * columns, random), labels).float().clamp(-1, 1)
        diversity = images.reshape(PREVIEW_ROWS, columns, -1).std(dim=0).mean() / 2
        return Preview(make_grid(images, columns), {"health/diversity": diversity.item()})

    def latents(self, num: int, random: Random) -> Tensor:
        """Draw Float [num, latent_dim], standard normal."""
        return random.normal(num, self.latent_dim)

    def labels_of(self, batch: Batch) -> Tensor | None:
        """Return the labels that the networks are given, None where they take none."""
        return batch.labels if self.num_labels else None


class AdversarialRecipe(GenerationRecipe):
    """A generator against one discriminator that judges whole images, one update of each a step.

    A subclass sets `loss`, the network and optimizer "discriminator", and defines the penalties and the
    augmentation of a step.
    """

    loss: AdversarialLoss
    penalty_every: int = 1
    couples_batch: bool = False  # Whether a logit depends on the other images in the batch.

    @abstractmethod
    def gammas(self, step: int) -> tuple[float, float]:
        """Return the weights of the R1 and R2 penalties at a step, counted from 1."""

    @abstractmethod
    def augment(self, images: Tensor, step: int, random: Random) -> Tensor:
        """Return what the discriminator is shown of real or of fake images [N, C, S, S]."""

    def training_step(self, batch: Batch, step: int, random: Random) -> dict[str, Tensor]:
        """Update the discriminator, then the generator."""
        generator, discriminator = self.networks["generator"].train(), self.networks["discriminator"].train()
        labels, num = self.labels_of(batch), len(batch.images)
        self.set_learning_rates(step)

        with torch.no_grad(), self.autocast():
            fakes = generator(self.latents(num, random), labels).float()
        reals = self.augment(batch.images, step, random).detach()
        fakes = self.augment(fakes, step, random).detach()
        gammas = self.gammas(step) if step % self.penalty_every == 0 else (0.0, 0.0)
        real_logits, fake_logits, penalties = self._judge(reals, fakes, labels, gammas)
        discriminator_loss = self.loss.on_discriminator(real_logits, fake_logits).mean()
        for name, gamma in zip(("r1", "r2"), gammas, strict=True):
            if name in penalties:
                discriminator_loss = discriminator_loss + self.penalty_every * gamma / 2 * penalties[name]
        discriminator_norm = self.update(discriminator_loss, "discriminator")
        self.observe(real_logits.detach(), fake_logits.detach())

        with frozen(discriminator), self.autocast():
            fakes = generator(self.latents(num, random), labels).float()
            logits = discriminator(self.augment(fakes, step, random), labels).float()
            rivals = None
            if self.loss.is_relativistic:
                with torch.no_grad():
                    rivals = discriminator(self.augment(batch.images, step, random), labels).float()
        generator_loss = self.loss.on_generator(logits, rivals).mean()
        generator_norm = self.update(generator_loss, "generator")

        accuracy_real, accuracy_fake = self.loss.accuracies(real_logits, fake_logits)
        return {
            "loss/discriminator": discriminator_loss.detach(),
            "loss/generator": generator_loss.detach(),
            **{f"loss/{name}_penalty": penalty.detach() for name, penalty in penalties.items()},
            "health/discriminator_accuracy_real": accuracy_real,
            "health/discriminator_accuracy_fake": accuracy_fake,
            "health/gradient_norm_discriminator": discriminator_norm,
            "health/gradient_norm_generator": generator_norm,
        }

    def observe(self, real_logits: Tensor, fake_logits: Tensor) -> None:
        """Take note of the discriminator's logits, Float [N] each, after its update."""

    def _judge(
        self, reals: Tensor, fakes: Tensor, labels: Tensor | None, gammas: tuple[float, float]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return logits of real and of fake images, and the penalties that have a weight, "r1" before "r2"."""
        discriminator = self.networks["discriminator"]
        sets = {"r1": reals.requires_grad_(gammas[0] > 0), "r2": fakes.requires_grad_(gammas[1] > 0)}
        penalized = {name: images for name, images in sets.items() if images.requires_grad}
        if not self.couples_batch and len(penalized) != 1:  # One pass does, unless half of it would be for nothing.
            images, both = torch.cat([reals, fakes]), None if labels is None else torch.cat([labels, labels])
            with self._precision(images):
                real_logits, fake_logits = discriminator(images, both).float().tensor_split(2)
        else:
            with self._precision(reals):
                real_logits = discriminator(reals, labels).float()
            with self._precision(fakes):
                fake_logits = discriminator(fakes, labels).float()
        if not penalized:
            return real_logits, fake_logits, {}
        penalties = gradient_penalties(torch.cat([real_logits, fake_logits]), *penalized.values())
        return real_logits, fake_logits, dict(zip(penalized, penalties, strict=True))

    def _precision(self, images: Tensor) -> AbstractContextManager[Any]:
        """Set the precision: the gradients of penalties take float32."""
        return nullcontext() if images.requires_grad else self.autocast()
