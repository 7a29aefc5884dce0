"""pix2pix: images from sketches, gray pictures or whatever else there are pairs of, and masks from photographs."""

from typing import cast

import torch
from torch import Tensor, nn

from gan_models.config import ImageConfig, Pix2PixConfig, TrainConfig
from gan_models.images.paired_inputs import condition
from gan_models.images.randomness import Random
from gan_models.losses.adversarial import ADVERSARIAL_LOSSES
from gan_models.networks.pix2pix_unet import Pix2PixUNet
from gan_models.recipes.base import Batch, Preview, Recipe
from gan_models.recipes.gradients import frozen
from gan_models.recipes.patch_judgment import build_discriminator, discriminator_terms
from gan_models.recipes.pix2pix_targets import MaskTargets, PictureTargets, Targets


def build_generator(config: Pix2PixConfig, image: ImageConfig, num_labels: int) -> Pix2PixUNet:
    """Return the U-Net of a `pix2pix` config, untrained. It takes no labels."""
    num_classes = len(config.classes or ())
    return Pix2PixUNet(image.channels, config.width, config.num_stages, config.dropout, config.upsample, num_classes)


class Pix2PixRecipe(Recipe):
    """A U-Net led by the distance to its target and by a PatchGAN that sees the input next to the output.

    The distance to a picture is L1. To a mask it is the cross-entropy of its classes, of which the U-Net gives logits.
    """

    def __init__(self, config: TrainConfig, num_labels: int, device: torch.device) -> None:
        super().__init__(config, device)
        self.recipe = cast(Pix2PixConfig, config.recipe)
        self.loss = ADVERSARIAL_LOSSES[self.recipe.loss]
        classes, channels = self.recipe.mask_classes, config.image.channels
        self.targets: Targets = PictureTargets(self.recipe.l1_weight, channels)
        if classes is not None:
            self.targets = MaskTargets(classes, self.recipe.cross_entropy_weight, channels)
        self.networks = {"generator": self.place(build_generator(self.recipe, config.image, num_labels))}
        if self.recipe.adversarial_weight:
            discriminator = build_discriminator(
                config.image,
                channels + self.targets.channels,
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
        inputs, targets = self.pair(batch)
        with self.autocast():
            outputs = generator(inputs, random).float()
        distance = self.targets.distance(outputs, targets)
        loss = self.targets.weight * distance
        values = {f"loss/{self.targets.name}": distance.detach()}
        if self.recipe.adversarial_weight:
            fake, real = self.targets.judged(outputs, targets)
            values |= self._train_discriminator(inputs, real.detach(), fake.detach())
            discriminator = self.networks["discriminator"]
            with frozen(discriminator), self.autocast():
                logits = discriminator(torch.cat([inputs, fake], dim=1))[0].float()
            adversarial = self.loss.generator(logits).mean()
            loss = loss + self.recipe.adversarial_weight * adversarial
            values["loss/adversarial"] = adversarial.detach()
        values["health/gradient_norm_generator"] = self.update(loss, "generator")
        values["loss/generator"] = loss.detach()
        return values

    def preview(self, network: nn.Module, batch: Batch, random: Random) -> Preview:
        """Show columns of images, rows input, output and target, and how far outputs are from targets."""
        inputs, targets = self.pair(batch)
        with torch.no_grad():
            outputs = network(inputs).float()
        return self.targets.preview(inputs, outputs, targets)

    def pair(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return images and their partners; where these are not in the data, both sides are made from the images."""
        if batch.targets is not None:
            return batch.images, self.targets.of(batch.targets)
        return condition(batch.images, self.recipe.input), condition(batch.images, self.recipe.target)

    def _train_discriminator(self, inputs: Tensor, targets: Tensor, outputs: Tensor) -> dict[str, Tensor]:
        real, fake = torch.cat([inputs, targets], dim=1), torch.cat([inputs, outputs], dim=1)
        with self.autocast():
            loss, values = discriminator_terms(self.networks["discriminator"].train(), real, fake, self.loss)
        norm = self.update(loss, "discriminator")
        return {**values, "loss/discriminator": loss.detach(), "health/gradient_norm_discriminator": norm}


build_recipe = Pix2PixRecipe
