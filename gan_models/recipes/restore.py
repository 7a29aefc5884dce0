"""Restore: one network that undoes several degradations, reconstruction first, adversarial terms afterwards."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d

from gan_models.config import ImageConfig, RestoreConfig, TrainConfig
from gan_models.images.degradations import Degraded, degrade_seeded, image_seeds
from gan_models.images.pixels import make_grid
from gan_models.images.randomness import Random
from gan_models.losses.adversarial import ADVERSARIAL_LOSSES
from gan_models.losses.feature_matching import feature_matching_loss
from gan_models.losses.perceptual import perceptual_loss
from gan_models.losses.reconstruction import negative_psnr
from gan_models.losses.structural import structural_dissimilarity
from gan_models.networks.feature_network import load_feature_network
from gan_models.networks.patch_discriminator import PatchDiscriminator
from gan_models.networks.unet import UNet
from gan_models.recipes.base import Batch, Preview, Recipe
from gan_models.recipes.gradients import frozen

PREVIEW_COLUMNS = 8
DISCRIMINATOR_LEARNING_RATE = 1e-3
RECONSTRUCTION_WEIGHT = 0.005  # A decibel then pulls about as a change of L1 by 0.005 would.


def build_generator(config: RestoreConfig, image: ImageConfig, num_labels: int) -> UNet:
    """Return the restoring network of a `restore` config, untrained. It takes no labels."""
    return UNet(image.channels, config.width, config.blocks)


class RestoreRecipe(Recipe):
    """A U-Net that learns to maximize PSNR, then also PatchGAN, feature matching and a perceptual term."""

    def __init__(self, config: TrainConfig, num_labels: int, device: torch.device) -> None:
        super().__init__(config, device)
        self.recipe = cast(RestoreConfig, config.recipe)
        self.loss = ADVERSARIAL_LOSSES["non_saturating"]
        generator = build_generator(self.recipe, config.image, num_labels)
        self.networks = {"generator": self.place(generator)}
        if self.recipe.adversarial_from < 1:
            self.networks["discriminator"] = self.place(PatchDiscriminator(config.image.channels, self.recipe.width))
        self.optimizers = {name: self.adam(network, self.recipe.betas) for name, network in self.networks.items()}
        self.features: nn.Module | None = None  # It is frozen, and so neither in `networks` nor in checkpoints.
        if self.recipe.perceptual_weight and self.recipe.adversarial_from < 1:
            self.features = self.place(load_feature_network("efficientnet_lite0"))
        shares = self.recipe.shares or (1,) * len(self.recipe.degradations)
        self.turns = [which for which, share in enumerate(shares) for _ in range(share)]

    def learning_rate(self, step: int, network: str) -> float:
        """Follow the config's schedule. The discriminator, which comes late, learns at a constant rate."""
        return DISCRIMINATOR_LEARNING_RATE if network == "discriminator" else super().learning_rate(step, network)

    def training_step(self, batch: Batch, step: int, random: Random) -> dict[str, Tensor]:
        """Update the generator and, from `adversarial_from` on, the discriminator before it."""
        generator = self.networks["generator"].train()
        self.set_learning_rates(step)
        degraded = self.degrade(batch.images, step, random)
        with self.autocast():
            restored = generator(*degraded).float()
        # Over what there was to restore: otherwise holes, a small share of all pixels, would hardly count.
        reconstruction = negative_psnr(restored, batch.images, _restored_region(degraded.mask)).mean()
        values = {"loss/reconstruction": reconstruction.detach()}
        loss = RECONSTRUCTION_WEIGHT * reconstruction
        if self.recipe.ssim_weight:
            structural = structural_dissimilarity(restored, batch.images).mean()
            values["loss/structural"] = structural.detach()
            loss = loss + self.recipe.ssim_weight * structural
        if step > self.recipe.adversarial_from * self.config.steps:
            values |= self._train_discriminator(batch.images, restored.detach(), degraded.mask)
            adversarial, matching = self._adversarial_terms(batch.images, restored, degraded.mask)
            loss = loss + self.recipe.adversarial_weight * adversarial
            loss = loss + self.recipe.feature_matching_weight * matching
            values |= {"loss/adversarial": adversarial.detach(), "loss/feature_matching": matching.detach()}
            if self.features is not None:
                perceptual = self._perceptual_term(self.features, batch.images, restored)
                loss = loss + self.recipe.perceptual_weight * perceptual
                values["loss/perceptual"] = perceptual.detach()
        values["health/gradient_norm_generator"] = self.update(loss, "generator")
        values["loss/generator"] = loss.detach()
        return values

    def preview(self, network: nn.Module, batch: Batch, random: Random) -> Preview:
        """Show images in columns, rows degraded, restored and original.

        `health/error_left` is the squared error left, as a share of that of the degraded images.
        """
        columns = min(PREVIEW_COLUMNS, len(batch.images))
        images = batch.images[:columns]
        degraded = self.degrade(images, 1, random)
        with torch.no_grad():
            restored = network(*degraded).float().clamp(-1, 1)
        left = (restored - images).square().mean() / (degraded.images - images).square().mean()
        return Preview(
            make_grid(torch.cat([degraded.images, restored, images]), columns), {"health/error_left": left.item()}
        )

    def degrade(self, images: Tensor, step: int, random: Random) -> Degraded:
        """Degrade every image by the degradation whose turn it is.

        Turns go round, as many for each degradation as its share, over all images of a run: what an image gets
        depends on its place among them, not on which process it is in.
        """
        first = (step - 1) * self.config.batch_size
        turns = [self.turns[(first + place) % len(self.turns)] for place in random.positions(len(images))]
        seeds = image_seeds(len(images), random)
        degraded, mask = torch.empty_like(images), images.new_empty(len(images), 1, *images.shape[-2:])
        for which in set(turns):
            chosen = [i for i, turn in enumerate(turns) if turn == which]
            part = degrade_seeded(images[chosen], self.recipe.degradations[which], [seeds[i] for i in chosen])
            degraded[chosen], mask[chosen] = part.images, part.mask
        return Degraded(degraded, mask)

    def _train_discriminator(self, real: Tensor, fake: Tensor, mask: Tensor) -> dict[str, Tensor]:
        discriminator = self.networks["discriminator"].train()
        with self.autocast():
            logits, _ = discriminator(torch.cat([real, fake]))
        real_logits, fake_logits = logits.float().tensor_split(2)
        is_fake = _restored_patches(mask, fake_logits)
        # Known pixels are the image's own: where a patch holds nothing else, the target of a "fake" is real too.
        on_fakes = is_fake * self.loss.fake(fake_logits) + (1 - is_fake) * self.loss.real(fake_logits)
        loss = self.loss.real(real_logits).mean() + on_fakes.mean()
        norm = self.update(loss, "discriminator")
        return {
            "loss/discriminator": loss.detach(),
            "health/discriminator_accuracy_real": (real_logits > 0).float().mean(),
            "health/discriminator_accuracy_fake": _mean_over((fake_logits < 0).float(), is_fake),
            "health/gradient_norm_discriminator": norm,
        }

    def _adversarial_terms(self, real: Tensor, restored: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        discriminator = self.networks["discriminator"]
        with frozen(discriminator), self.autocast():
            with torch.no_grad():
                _, targets = discriminator(real)
            logits, features = discriminator(restored)
        is_fake = _restored_patches(mask, logits)
        adversarial = _mean_over(self.loss.generator(logits.float()), is_fake)
        matching = feature_matching_loss([f.float() for f in features], [t.float() for t in targets])
        return adversarial, matching

    def _perceptual_term(self, network: nn.Module, real: Tensor, restored: Tensor) -> Tensor:
        with self.autocast():
            with torch.no_grad():
                targets = network(real)
            features = network(restored)
        return perceptual_loss([f.float() for f in features], [t.float() for t in targets])


def _restored_region(mask: Tensor) -> Tensor:
    """Return where images [N, 1, H, W] are restored: in their holes, and everywhere where they have none."""
    return torch.where(mask.amax(dim=(1, 2, 3), keepdim=True) > 0, mask, 1.0)


def _restored_patches(mask: Tensor, logits: Tensor) -> Tensor:
    """Return which patches of a map of `logits` [N, 1, h, w] hold restored pixels."""
    patches: Tensor = adaptive_max_pool2d(_restored_region(mask), logits.shape[-2:])
    return patches


def _mean_over(values: Tensor, where: Tensor) -> Tensor:
    """Return the mean over images of each one's mean over the patches `where` is 1; both Float [N, 1, h, w].

    Not the mean over all patches at once: holes differ in size, and processes would then weigh images differently.
    """
    counts = where.sum(dim=(1, 2, 3)).clamp(min=1)
    return ((values * where).sum(dim=(1, 2, 3)) / counts).mean()


build_recipe = RestoreRecipe
