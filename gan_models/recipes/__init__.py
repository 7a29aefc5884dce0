"""The recipes, by the name that configs call them."""

from typing import cast

import torch
from torch import nn

from gan_models.config import ImageConfig, RecipeConfig, TrainConfig
from gan_models.images.randomness import seed_of
from gan_models.recipes import cut, cyclegan, dcgan, pix2pix, r3gan, restore, style_bank, vae, wgan_gp
from gan_models.recipes.base import Recipe

_RECIPES: dict[str, type[Recipe]] = {
    "dcgan": dcgan.DcganRecipe,
    "wgan_gp": wgan_gp.WganGpRecipe,
    "r3gan": r3gan.R3ganRecipe,
    "vae": vae.VaeRecipe,
    "pix2pix": pix2pix.Pix2PixRecipe,
    "cyclegan": cyclegan.CycleganRecipe,
    "cut": cut.CutRecipe,
    "restore": restore.RestoreRecipe,
    "style_bank": style_bank.StyleBankRecipe,
}
_GENERATORS = {
    "dcgan": dcgan.build_generator,
    "wgan_gp": wgan_gp.build_generator,
    "r3gan": r3gan.build_generator,
    "vae": vae.build_generator,
    "pix2pix": pix2pix.build_generator,
    "cyclegan": cyclegan.build_generator,
    "cut": cut.build_generator,
    "restore": restore.build_generator,
    "style_bank": style_bank.build_generator,
}


def build_recipe(config: TrainConfig, num_labels: int, device: torch.device | str = "cpu") -> Recipe:
    """Build the recipe that `config` names, its networks initialized from the config's seed, on `device`.

    Args:
        config: a training config.
        num_labels: kinds of labels in the data, 0 where it has none.
        device: the networks and optimizers live on it; the initial weights do not depend on it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(config.seed, "initial weights"))
        return _RECIPES[config.recipe.name](config, num_labels, torch.device(device))  # type: ignore[call-arg,arg-type]


def build_generator(recipe: RecipeConfig, image: ImageConfig, num_labels: int) -> nn.Module:
    """Build the network that a bundle of `recipe` holds, with weights yet to be loaded."""
    return cast(nn.Module, _GENERATORS[recipe.name](recipe, image, num_labels))  # type: ignore[operator]


__all__ = ["Recipe", "build_generator", "build_recipe"]
