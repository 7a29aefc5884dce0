"""pix2pix: images from sketches, gray pictures or whatever else there are pairs of, or the other way round."""

from typing import cast

import torch
from torch import Tensor, nn

from gan_models.config import ImageConfig, Pix2PixConfig, TrainConfig
from gan_models.images.paired_inputs import condition
from gan_models.images.pixels import make_grid
from gan_models.images.randomness import Random
from gan_models.losses.adversarial import ADVERSARIAL_LOSSES
from gan_models.networks.pix2pix_unet import Pix2PixUNet
from gan_models.recipes.base import Batch, Preview, Recipe
from gan_models.recipes.gradients import frozen
from gan_models.recipes.patch_judgment import build_discriminator, discriminator_terms, variety


def build_generator(config: Pix2PixConfig, image: ImageConfig, num_labels: int) -> Pix2PixUNet:
    """Return the U-Net of a `pix2pix` config, untrained. It takes no labels."""
    return Pix2PixUNet(image.channels, config.width, config.num_stages, config.dropout, config.upsample)


class Pix2PixRecipe(Recipe):
    """A U-Net led by L1 and by a PatchGAN that sees the input next to the output."""

    def __init__(self, config: TrainConfig, num_labels: int, device: torch.device) -> None:
        super().__init__(config, device)
        self.recipe = cast(Pix2PixConfig, config.recipe)
        self.loss = ADVERSARIAL_LOSSES[self.recipe.loss]
        self.networks = {"generator": self.place(build_generator(self.recipe, config.image, num_labels))}
        if self.recipe.adversarial_weight:
            discriminator = build_discriminator(
                config.image,
                2 * config.image.channels,
                self.recipe.discriminator_width,
                self.recipe.discriminator_stages,
                self.recipe.discriminator_norm,
            )
            self.networks["discriminator"] = self.place(discriminator)
        self.optimizers = {name: self.adam(network, self.recipe.betas) for name, network in self.networks.items()}

    def training_step(self, batch: Batch, step: int, random: Random) -> dict[str, Tensor]:
        """Update the discriminator, where there is one, then the generator."""
        generator = self.networks["generator"].train()
        self.set_learning_rates(step)
        inputs, targets = self._pair(batch)
        with self.autocast():
            outputs = generator(inputs, random).float()
        reconstruction = (outputs - targets).abs().mean()
        loss = self.recipe.l1_weight * reconstruction
        values = {"loss/l1": reconstruction.detach()}
        if self.recipe.adversarial_weight:
            values |= self._train_discriminator(inputs, targets, outputs.detach())
            discriminator = self.networks["discriminator"]
            with frozen(discriminator), self.autocast():
                logits = discriminator(torch.cat([inputs, outputs], dim=1))[0].float()
            adversarial = self.loss.generator(logits).mean()
            loss = loss + self.recipe.adversarial_weight * adversarial
            values["loss/adversarial"] = adversarial.detach()
        values["health/gradient_norm_generator"] = self.update(loss, "generator")
        values["loss/generator"] = loss.detach()
        return values

    def preview(self, network: nn.Module, batch: Batch, random: Random) -> Preview:
        """Show images in columns, rows input, output and target. `health/l1` is the mean absolute error on [0, 1]."""
        inputs, targets = self._pair(batch)
        with torch.no_grad():
            outputs = network(inputs).float()
        values = {"health/l1": (outputs - targets).abs().mean().item() / 2, "health/diversity": variety(outputs)}
        return Preview(make_grid(torch.cat([inputs, outputs, targets]), len(inputs)), values)

    def _pair(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return images and their partners; where these are not in the data, both sides are made from the images."""
        if batch.targets is not None:
            return batch.images, batch.targets
        return condition(batch.images, self.recipe.input), condition(batch.images, self.recipe.target)

    def _train_discriminator(self, inputs: Tensor, targets: Tensor, outputs: Tensor) -> dict[str, Tensor]:
        real, fake = torch.cat([inputs, targets], dim=1), torch.cat([inputs, outputs], dim=1)
        with self.autocast():
            loss, values = discriminator_terms(self.networks["discriminator"].train(), real, fake, self.loss)
        norm = self.update(loss, "discriminator")
        return {**values, "loss/discriminator": loss.detach(), "health/gradient_norm_discriminator": norm}
