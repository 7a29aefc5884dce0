"""Bundles of untrained networks."""

from pathlib import Path

import torch

from gan_models.bundles.bundle import save_bundle
from gan_models.config import ImageConfig, RecipeConfig
from gan_models.recipes import build_generator


def make_bundle(
    directory: Path,
    recipe: RecipeConfig,
    image: ImageConfig,
    label_names: tuple[str, ...],
    seed: int,
    spoil: float | None = None,
) -> Path:
    """Write a bundle with weights of a seed, of which one is `spoil` where that is given; returns its folder."""
    torch.manual_seed(seed)
    network = build_generator(recipe, image, len(label_names))
    if spoil is not None:
        with torch.no_grad():
            next(network.parameters()).view(-1)[0] = spoil
    save_bundle(
        directory,
        network,
        recipe=recipe,
        image=image,
        label_names=label_names,
        num_steps=1,
        config_digest=str(seed),
        data_digest="0",
    )
    return directory
