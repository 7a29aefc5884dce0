"""R3GAN: the modern baseline, a relativistic loss on residual networks without normalization."""

import math
from typing import cast

import torch
from torch import Tensor

from gan_models.config import ImageConfig, R3ganConfig, TrainConfig
from gan_models.images.augmentation import random_augment
from gan_models.images.randomness import Random
from gan_models.losses.adversarial import ADVERSARIAL_LOSSES
from gan_models.networks.r3gan_discriminator import R3ganDiscriminator
from gan_models.networks.r3gan_generator import R3ganGenerator
from gan_models.recipes.generation import AdversarialRecipe


def build_generator(config: R3ganConfig, image: ImageConfig, num_labels: int) -> R3ganGenerator:
    """Return the generator of an `r3gan` config, untrained."""
    return R3ganGenerator(
        size=image.size,
        channels=image.channels,
        width=config.width,
        finest_width=config.finest_width or config.width,
        blocks=config.blocks,
        group_width=config.group_width,
        latent_dim=config.latent_dim,
        num_labels=num_labels if config.conditional else 0,
        output=config.output,
    )


class R3ganRecipe(AdversarialRecipe):
    """Relativistic pairing loss with R1 and R2 (Huang et al. 2024, https://arxiv.org/abs/2501.05441).

    Over the burn-in, Adam's beta2 and the probability of augmentation rise and gamma falls, each along a half cosine:
    loosely held at first, when the generator's images change fast, and smoothed later on.
    """

    def __init__(self, config: TrainConfig, num_labels: int, device: torch.device) -> None:
        self.recipe = recipe = cast(R3ganConfig, config.recipe)
        super().__init__(config, build_generator(recipe, config.image, num_labels), device)
        self.loss = ADVERSARIAL_LOSSES["relativistic"]
        self.penalty_every = recipe.penalty_every
        # R1 of a loss of about 1 grows with the number of pixels: Karras et al. 2020, arXiv 1912.04958, its code.
        self.gamma = recipe.gamma or 0.0002 * config.image.size**2 / config.batch_size
        discriminator = R3ganDiscriminator(
            size=config.image.size,
            channels=config.image.channels,
            width=recipe.width,
            finest_width=recipe.finest_width or recipe.width,
            blocks=recipe.blocks,
            group_width=recipe.group_width,
            embedding_dim=recipe.latent_dim,
            num_labels=self.num_labels,
        )
        self.networks["discriminator"] = self.place(discriminator)
        self.optimizers = {name: self.adam(network, recipe.betas) for name, network in self.networks.items()}

    def set_learning_rates(self, step: int) -> None:
        """Give every optimizer the learning rate and the beta2 of `step`."""
        super().set_learning_rates(step)
        beta1, beta2 = self.recipe.betas
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["betas"] = (beta1, self._scheduled(beta2, self.recipe.final_beta2, step))

    def gammas(self, step: int) -> tuple[float, float]:
        """Return the weight of R1 at a step, counted from 1, and the same of R2."""
        gamma = self._scheduled(self.gamma, self.gamma * self.recipe.final_gamma, step)
        return gamma, gamma

    def augment(self, images: Tensor, step: int, random: Random) -> Tensor:
        """Apply each transformation with the probability of `step`."""
        if not self.recipe.augment_probability:
            return images
        return random_augment(images, self._scheduled(0.0, self.recipe.augment_probability, step), random)

    def _scheduled(self, start: float, end: float, step: int) -> float:
        """Go along half a cosine from `start` to `end` over the burn-in, and stay at `end` after it."""
        done = min(1.0, (step - 1) / self.config.steps / self.recipe.burn_in)
        return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))


build_recipe = R3ganRecipe
