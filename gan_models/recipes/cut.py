"""CUT: images of one domain as those of another, in one direction; patches stay recognizable. FastCUT is its option."""

from typing import cast

import torch
from torch import Tensor, nn

from gan_models.config import CutConfig, ImageConfig, TrainConfig
from gan_models.images.pixels import make_grid
from gan_models.images.randomness import Random
from gan_models.losses.adversarial import ADVERSARIAL_LOSSES
from gan_models.losses.contrastive import patch_nce
from gan_models.networks.patch_projector import PatchProjector, draw_positions
from gan_models.networks.resnet_generator import ResnetGenerator
from gan_models.recipes.base import Batch, Preview, Recipe
from gan_models.recipes.gradients import frozen
from gan_models.recipes.patch_judgment import build_discriminator, discriminator_terms, variety


def build_generator(config: CutConfig, image: ImageConfig, num_labels: int) -> ResnetGenerator:
    """Return the generator of a `cut` config, untrained. It takes no labels."""
    return ResnetGenerator(image.channels, config.width, config.blocks, antialias=config.antialias)


class CutRecipe(Recipe):
    """Contrastive unpaired translation (Park et al. 2020, arXiv 2007.15651)."""

    def __init__(self, config: TrainConfig, num_labels: int, device: torch.device) -> None:
        super().__init__(config, device)
        self.recipe = cast(CutConfig, config.recipe)
        self.loss = ADVERSARIAL_LOSSES[self.recipe.loss]
        generator = build_generator(self.recipe, config.image, num_labels)
        discriminator = build_discriminator(
            config.image,
            config.image.channels,
            self.recipe.discriminator_width,
            self.recipe.discriminator_stages,
            self.recipe.discriminator_norm,
        )
        self.networks = {
            "generator": self.place(generator),
            "discriminator": self.place(discriminator),
            "projector": self.place(PatchProjector(generator.feature_widths, self.recipe.head_width)),
        }
        self.optimizers = {name: self.adam(network, self.recipe.betas) for name, network in self.networks.items()}

    def training_step(self, batch: Batch, step: int, random: Random) -> dict[str, Tensor]:
        """Update the discriminator, then the generator and the projector together."""
        assert batch.targets is not None, "the recipe has a target domain"
        self.set_learning_rates(step)
        generator = cast(ResnetGenerator, self.networks["generator"].train())
        discriminator = self.networks["discriminator"].train()
        num = len(batch.images)

        with self.autocast():
            # Keys, which no gradient flows to, are features that the generator computes on its way anyway. Only a
            # mirrored input needs a pass of its own for them.
            if self.recipe.fast:
                is_mirrored = random.uniform(num, 1, 1, 1) < 0.5
                outputs, _ = generator.translate(_mirrored(batch.images, is_mirrored))
                with torch.no_grad():
                    keys = generator.encode(batch.images)
            else:
                is_mirrored = None
                outputs, keys = generator.translate(torch.cat([batch.images, batch.targets]))
            fakes = outputs[:num].float()
        with self.autocast():
            discriminator_loss, values = discriminator_terms(discriminator, batch.targets, fakes.detach(), self.loss)
        values["health/gradient_norm_discriminator"] = self.update(discriminator_loss, "discriminator")

        with frozen(discriminator), self.autocast():
            adversarial = self.loss.generator(discriminator(fakes)[0].float()).mean()
            contrast = self._contrast(outputs, keys, is_mirrored, random)
        loss = adversarial + self.recipe.weight_of_contrast * contrast.mean()
        values["health/gradient_norm_generator"] = self.update(loss, "generator", "projector")
        values |= {"loss/adversarial": adversarial.detach(), "loss/contrast": contrast[:num].mean().detach()}
        if not self.recipe.fast:
            values["loss/identity_contrast"] = contrast[num:].mean().detach()
        return values | {"loss/generator": loss.detach(), "loss/discriminator": discriminator_loss.detach()}

    def preview(self, network: nn.Module, batch: Batch, random: Random) -> Preview:
        """Show images in columns, rows source, translated, and images of the target domain to compare with."""
        assert batch.targets is not None, "the recipe has a target domain"
        columns = min(len(batch.images), len(batch.targets))
        with torch.no_grad():
            translated = network(batch.images[:columns]).float()
        rows = torch.cat([batch.images[:columns], translated, batch.targets[:columns]])
        return Preview(make_grid(rows, columns), {"health/diversity": variety(translated)})

    def _contrast(self, outputs: Tensor, keys: list[Tensor], is_mirrored: Tensor | None, random: Random) -> Tensor:
        """Return PatchNCE of each output against the features of its input, averaged over the layers, Float [M].

        Where the input was mirrored, the features of the output are mirrored back.
        """
        projector = self.networks["projector"]
        queries = cast(ResnetGenerator, self.networks["generator"]).encode(outputs)
        if is_mirrored is not None:
            queries = [_mirrored(query, is_mirrored) for query in queries]
        # Sources and targets draw apart, so that the numbers of each image are those of its place in the whole batch.
        num = len(outputs) if self.recipe.fast else len(outputs) // 2
        halves = [[key[start : start + num] for key in keys] for start in range(0, len(outputs), num)]
        drawn = [draw_positions(half, self.recipe.num_patches, random) for half in halves]
        positions = [torch.cat(layer) for layer in zip(*drawn, strict=True)]
        with torch.no_grad():
            projected_keys = projector([key.detach() for key in keys], positions)
        losses = [
            patch_nce(query, key, self.recipe.temperature)
            for query, key in zip(projector(queries, positions), projected_keys, strict=True)
        ]
        return torch.stack(losses).mean(dim=0)


def _mirrored(images: Tensor, which: Tensor) -> Tensor:
    """Mirror those of images [N, C, H, W] that `which`, bool [N, 1, 1, 1], names left to right."""
    return torch.where(which, images.flip(3), images)


build_recipe = CutRecipe
