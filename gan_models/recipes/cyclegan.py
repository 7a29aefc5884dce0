"""CycleGAN: images of one domain as those of another, and back, without pairs."""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from gan_models.config import CycleganConfig, ImageConfig, TrainConfig
from gan_models.images.pixels import make_grid
from gan_models.images.randomness import Random
from gan_models.losses.adversarial import ADVERSARIAL_LOSSES
from gan_models.networks.resnet_generator import ResnetGenerator, TranslationPair
from gan_models.recipes.base import Batch, Preview, Recipe
from gan_models.recipes.fake_pool import FakePool
from gan_models.recipes.gradients import frozen
from gan_models.recipes.patch_judgment import build_discriminator, discriminator_terms, variety

DOMAINS = ("source", "target")


def build_generator(config: CycleganConfig, image: ImageConfig, num_labels: int) -> TranslationPair:
    """Return both generators of a `cyclegan` config, untrained. They take no labels."""
    there, back = (
        ResnetGenerator(
            image.channels, config.width, config.blocks, antialias=config.antialias, residual=config.residual
        )
        for _ in range(2)
    )
    return TranslationPair(there, back)


class CycleganRecipe(Recipe):
    """Two generators that undo each other, and a PatchGAN for each domain (Zhu et al. 2017, arXiv 1703.10593)."""

    def __init__(self, config: TrainConfig, num_labels: int, device: torch.device) -> None:
        super().__init__(config, device)
        self.recipe = cast(CycleganConfig, config.recipe)
        self.loss = ADVERSARIAL_LOSSES[self.recipe.loss]
        self.networks = {"generator": self.place(build_generator(self.recipe, config.image, num_labels))}
        for domain in DOMAINS:
            discriminator = build_discriminator(
                config.image,
                config.image.channels,
                self.recipe.discriminator_width,
                self.recipe.discriminator_stages,
                self.recipe.discriminator_norm,
            )
            self.networks[f"discriminator_{domain}"] = self.place(discriminator)
        self.optimizers = {name: self.adam(network, self.recipe.betas) for name, network in self.networks.items()}
        depth = math.ceil(self.recipe.pool_size / config.batch_size)
        self.pools = {domain: FakePool(depth) for domain in DOMAINS}

    def training_step(self, batch: Batch, step: int, random: Random) -> dict[str, Tensor]:
        """Update both generators, then each discriminator."""
        assert batch.targets is not None, "the recipe has a target domain"
        self.set_learning_rates(step)
        sources, targets = batch.images, batch.targets
        pair = cast(TranslationPair, self.networks["generator"].train())
        discriminators = {domain: self.networks[f"discriminator_{domain}"].train() for domain in DOMAINS}

        with frozen(*discriminators.values()), self.autocast():
            # Each generator is also shown its own domain, which it should leave as it is.
            fake_targets, same_targets = pair.there(torch.cat([sources, targets])).float().tensor_split(2)
            fake_sources, same_sources = pair.back(torch.cat([targets, sources])).float().tensor_split(2)
            cycled_sources, cycled_targets = pair.back(fake_targets).float(), pair.there(fake_sources).float()
            adversarial = self.loss.generator(discriminators["target"](fake_targets)[0].float()).mean()
            adversarial = adversarial + self.loss.generator(discriminators["source"](fake_sources)[0].float()).mean()
        cycle = (cycled_sources - sources).abs().mean() + (cycled_targets - targets).abs().mean()
        identity = (same_sources - sources).abs().mean() + (same_targets - targets).abs().mean()
        weight = self.recipe.cycle_weight
        loss = adversarial + weight * cycle + weight * self.recipe.identity_weight * identity
        values = {"health/gradient_norm_generator": self.update(loss, "generator")}
        values |= {"loss/adversarial": adversarial.detach(), "loss/cycle": cycle.detach()}
        values |= {"loss/identity": identity.detach(), "loss/generator": loss.detach()}

        fakes = {"source": fake_sources.detach(), "target": fake_targets.detach()}
        of_each = [
            self._train_discriminator(domain, real, self.pools[domain].exchange(fakes[domain], random))
            for domain, real in zip(DOMAINS, (sources, targets), strict=True)
        ]
        return values | {name: torch.stack([one[name] for one in of_each]).mean() for name in of_each[0]}

    def preview(self, network: nn.Module, batch: Batch, random: Random) -> Preview:
        """Show images in columns, rows source, translated and back again; then the same from the target domain.

        `health/cycle_l1` is the mean absolute error of there and back again, on [0, 1].
        """
        assert batch.targets is not None, "the recipe has a target domain"
        columns = min(len(batch.images), len(batch.targets))
        sources, targets = batch.images[:columns], batch.targets[:columns]
        with torch.no_grad():
            there, back = network(sources).float(), network(targets, reverse=True).float()
            cycled = network(there, reverse=True).float(), network(back).float()
        error = (cycled[0] - sources).abs().mean().item() / 2
        rows = torch.cat([sources, there, cycled[0], targets, back, cycled[1]])
        return Preview(make_grid(rows, columns), {"health/cycle_l1": error, "health/diversity": variety(there)})

    def state_dict(self) -> dict[str, Any]:
        """Return what `Recipe.state_dict` returns, and the past fakes."""
        pools = {name: pool.images for name, pool in self.pools.items() if pool.images is not None}
        return {**super().state_dict(), "fake_pools": pools}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo `state_dict`."""
        super().load_state_dict(state)
        for name, pool in self.pools.items():
            images = state["fake_pools"].get(name)
            pool.images = None if images is None else images.to(self.device).clone()

    def _train_discriminator(self, domain: str, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        name = f"discriminator_{domain}"
        with self.autocast():
            loss, values = discriminator_terms(self.networks[name], real, fake, self.loss)
        norm = self.update(loss, name)
        return {**values, "loss/discriminator": loss.detach(), "health/gradient_norm_discriminator": norm}


build_recipe = CycleganRecipe
