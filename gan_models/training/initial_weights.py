"""Beginning a run from the weights of an existing bundle."""

import logging
from pathlib import Path

import torch
from torch import nn

from gan_models.bundles.bundle import load_bundle
from gan_models.bundles.description import BundleDescription, BundleError
from gan_models.config import TrainConfig

logger = logging.getLogger(__name__)


def initialize_from(path: Path, generator: nn.Module, config: TrainConfig, label_names: tuple[str, ...]) -> None:
    """Give `generator` the weights of the bundle at `path`.

    Where the labels have changed since, weights of another shape, such as the embedding of the labels, begin untrained.

    Raises:
        BundleError: there is no bundle, or it is of another recipe, of other images, or of another architecture.
    """
    bundle = load_bundle(path)
    ours, theirs = (config.recipe.name, config.image.channels), (bundle.recipe.name, bundle.image.channels)
    if ours != theirs:
        raise BundleError(
            f"train.init_from is a {theirs[0]} model of images with {theirs[1]} channels, and this config trains a "
            f"{ours[0]} model of images with {ours[1]}; name a bundle of the same recipe, or leave init_from out"
        )
    own, others = generator.state_dict(), bundle.network.state_dict()
    unlike = sorted(
        name
        for name in own.keys() | others.keys()
        if name not in own or name not in others or own[name].shape != others[name].shape
    )
    if unlike and bundle.label_names == label_names:
        raise BundleError(
            f"the weights in {path} do not fit the network of this config ({len(unlike)} differ, {unlike[0]} the "
            f"first); it was trained with: {_differences(bundle.description, config)}"
        )
    if unlike:
        logger.warning("the labels have changed: %s begin untrained", ", ".join(name for name in unlike if name in own))
    with torch.no_grad():
        for name, tensor in own.items():
            if name not in unlike:
                tensor.copy_(others[name])


def _differences(description: BundleDescription, config: TrainConfig) -> str:
    found = []
    for section in ("recipe", "image"):
        then, now = getattr(description, section).model_dump(), getattr(config, section).model_dump()
        changed = [key for key in then | now if then.get(key) != now.get(key)]
        found += [f"{section}.{key} {then.get(key)}, here {now.get(key)}" for key in changed]
    return "; ".join(found) or "another version of this recipe"
