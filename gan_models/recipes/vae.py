"""VAE: a convolutional variational autoencoder, the baseline without an adversary."""

import math
from typing import cast

import torch
from torch import Tensor

from gan_models.config import ImageConfig, TrainConfig, VaeConfig
from gan_models.images.randomness import Random
from gan_models.networks.vae import Vae
from gan_models.recipes.base import Batch
from gan_models.recipes.generation import GenerationRecipe


def build_generator(config: VaeConfig, image: ImageConfig, num_labels: int) -> Vae:
    """Build the autoencoder of a `vae` config, untrained; called, it decodes."""
    labels = num_labels if config.conditional else 0
    return Vae(image.size, image.channels, config.width, config.latent_dim, labels)


class VaeRecipe(GenerationRecipe):
    """Maximizes the evidence lower bound (Kingma & Welling 2013, https://arxiv.org/abs/1312.6114).

    The likelihood is Gaussian about the decoded image, independent for each pixel, with one standard deviation for all
    that is learned too (Rybkin et al. 2021, https://arxiv.org/abs/2006.13202): it settles the balance between
    reconstruction and the latent's distribution, which would else have to be searched for.
    """

    def __init__(self, config: TrainConfig, num_labels: int, device: torch.device) -> None:
        self.recipe = cast(VaeConfig, config.recipe)
        super().__init__(config, build_generator(self.recipe, config.image, num_labels), device)
        self.optimizers = {name: self.adam(network, self.recipe.betas) for name, network in self.networks.items()}

    def training_step(self, batch: Batch, step: int, random: Random) -> dict[str, Tensor]:
        """Update encoder and decoder. Losses are in nats per image."""
        network = cast(Vae, self.networks["generator"].train())
        labels = self.labels_of(batch)
        self.set_learning_rates(step)
        with self.autocast():
            mean, log_variance = (part.float() for part in network.encode(batch.images, labels))
            latents = mean + (log_variance / 2).exp() * self.latents(len(mean), random)
            decoded = network(latents, labels).float()
        deviation = network.log_deviation
        errors = (decoded - batch.images).square() / 2 * (-2 * deviation).exp()
        surprise = (errors + deviation + math.log(2 * math.pi) / 2).sum(dim=(1, 2, 3)).mean()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        loss = surprise + self.recipe.beta * divergence
        norm = self.update(loss, "generator")
        return {
            "loss/generator": loss.detach(),
            "loss/reconstruction": surprise.detach(),
            "loss/divergence": divergence.detach(),
            "health/gradient_norm_generator": norm,
        }


build_recipe = VaeRecipe
