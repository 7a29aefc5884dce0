"""DCGAN: images out of noise, of a class where there are labels."""

from typing import Any, cast

import torch
from torch import Tensor

from gan_models.config import DcganConfig, ImageConfig, TrainConfig
from gan_models.images.augmentation import diff_augment, random_augment
from gan_models.images.randomness import Random
from gan_models.losses.adversarial import ADVERSARIAL_LOSSES
from gan_models.networks.dcgan_discriminator import DcganDiscriminator
from gan_models.networks.dcgan_generator import DcganGenerator
from gan_models.recipes.base import Batch
from gan_models.recipes.generation import AdversarialRecipe
from gan_models.recipes.processes import mean_over_processes


def build_generator(config: DcganConfig, image: ImageConfig, num_labels: int) -> DcganGenerator:
    """Return the generator of a `dcgan` config, untrained."""
    labels = num_labels if config.conditional else 0
    return DcganGenerator(image.size, image.channels, config.width, config.latent_dim, labels, config.upsample)


class DcganRecipe(AdversarialRecipe):
    """DCGAN with a projection discriminator and the R1 penalty.

    With `augment: adaptive`, the probability of augmentation rises while the discriminator is surer of real training
    images than `augment_target`, and falls otherwise (Karras et al. 2020, https://arxiv.org/abs/2006.06676, section 3).
    """

    def __init__(self, config: TrainConfig, num_labels: int, device: torch.device) -> None:
        self.recipe = cast(DcganConfig, config.recipe)
        super().__init__(config, build_generator(self.recipe, config.image, num_labels), device)
        self.loss = ADVERSARIAL_LOSSES[self.recipe.loss]
        self.penalty_every = self.recipe.penalty_every
        self.couples_batch = self.recipe.discriminator_norm == "batch"
        discriminator = DcganDiscriminator(
            config.image.size, config.image.channels, self.recipe.width, self.num_labels, self.recipe.discriminator_norm
        )
        self.networks["discriminator"] = self.place(discriminator)
        self.optimizers = {name: self.adam(network, self.recipe.betas) for name, network in self.networks.items()}
        self.augment_probability = torch.zeros((), device=device)

    def gammas(self, step: int) -> tuple[float, float]:
        """Return those of the config."""
        return self.recipe.r1_gamma, self.recipe.r2_gamma

    def augment(self, images: Tensor, step: int, random: Random) -> Tensor:
        """Augment always, sometimes or never, as the config says."""
        if self.recipe.augment == "diffaugment":
            return diff_augment(images, random)
        if self.recipe.augment == "adaptive":
            return random_augment(images, self.augment_probability, random)
        return images

    def observe(self, real_logits: Tensor, fake_logits: Tensor) -> None:
        """Move the probability of adaptive augmentation by how sure the discriminator is of real images."""
        if self.recipe.augment == "adaptive":
            accuracy, _ = self.loss.accuracies(real_logits, fake_logits)
            surplus = 2 * mean_over_processes(accuracy) - 1 - self.recipe.augment_target
            move = surplus.sign() * self.config.batch_size / self.recipe.augment_images
            self.augment_probability = (self.augment_probability + move).clamp(0, 1)

    def training_step(self, batch: Batch, step: int, random: Random) -> dict[str, Tensor]:
        """Update the discriminator, then the generator."""
        values = super().training_step(batch, step, random)
        if self.recipe.augment == "adaptive":
            values["health/augment_probability"] = self.augment_probability
        return values

    def state_dict(self) -> dict[str, Any]:
        """Return what `Recipe.state_dict` returns, and the probability of augmentation."""
        return {**super().state_dict(), "augment_probability": self.augment_probability}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo `state_dict`."""
        super().load_state_dict(state)
        self.augment_probability = state["augment_probability"].to(self.device)


build_recipe = DcganRecipe
