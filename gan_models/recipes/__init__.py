"""The recipes, each in the file that configs name it by.

A recipe is imported when it is asked for: what a model depends on is its own and not every other.
"""

from importlib import import_module
from typing import Protocol, cast

import torch
from torch import nn

from gan_models.config import ImageConfig, RecipeConfig, TrainConfig
from gan_models.images.randomness import seed_of
from gan_models.recipes.base import Recipe


class _RecipeModule(Protocol):
    """What the file of a recipe defines."""

    def build_recipe(self, config: TrainConfig, num_labels: int, device: torch.device) -> Recipe: ...

    def build_generator(self, config: RecipeConfig, image: ImageConfig, num_labels: int) -> nn.Module: ...


def build_recipe(config: TrainConfig, num_labels: int, device: torch.device | str = "cpu") -> Recipe:
    """Build the recipe that `config` names, its networks initialized from the config's seed, on `device`.

    Args:
        config: a training config.
        num_labels: kinds of labels in the data, 0 where it has none.
        device: the networks and optimizers live on it; the initial weights do not depend on it.
    """
    module = _module_of(config.recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(config.seed, "initial weights"))
        return module.build_recipe(config, num_labels, torch.device(device))


def build_generator(recipe: RecipeConfig, image: ImageConfig, num_labels: int) -> nn.Module:
    """Build the network that a bundle of `recipe` holds, with weights yet to be loaded."""
    return _module_of(recipe).build_generator(recipe, image, num_labels)


def _module_of(recipe: RecipeConfig) -> _RecipeModule:
    return cast(_RecipeModule, import_module(f"{__name__}.{recipe.name}"))


__all__ = ["Recipe", "build_generator", "build_recipe"]
