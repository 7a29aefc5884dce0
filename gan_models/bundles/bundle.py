"""Bundles: a trained network with all that is needed to apply it, and no code or pickle in it.

A bundle is a directory of `model.safetensors`, the EMA weights, and `bundle.json`, which `description` reads.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from gan_models.bundles.description import (
    DESCRIPTION,
    BundleDescription,
    BundleError,
    digest_of,
    parse_description,
    read_part,
)
from gan_models.config import ImageConfig, RecipeConfig, Task
from gan_models.files import TEMPORARY_SUFFIX, sync, write_durably
from gan_models.recipes import build_generator
from gan_models.text import one_line

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Bundle:
    """A trained model, ready to use.

    `digest` is the SHA-256 of its `bundle.json`, which holds that of the weights: two bundles with one digest are one
    model.
    """

    description: BundleDescription
    digest: str
    network: nn.Module
    device: torch.device

    @property
    def recipe(self) -> RecipeConfig:
        """The config of its recipe."""
        return self.description.recipe

    @property
    def image(self) -> ImageConfig:
        """The images it was trained on."""
        return self.description.image

    @property
    def label_names(self) -> tuple[str, ...]:
        """Name of each label; empty where it was trained without."""
        return self.description.label_names

    @property
    def task(self) -> Task:
        """What it does: "generate", "restore", "translate" or "stylize"."""
        return self.description.task


def save_bundle(directory: Path, network: nn.Module, **description: Any) -> None:  # noqa: ANN401
    """Write a bundle, whole or not at all. The same network and description give the same bytes.

    Args:
        directory: to be made; what it holds is replaced.
        network: the EMA network.
        description: the fields of `BundleDescription` but for the digest of the weights and the version of torch.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    weights = safetensors.torch.save(tensors)
    complete = BundleDescription(
        **description, weights_sha256=hashlib.sha256(weights).hexdigest(), torch_version=torch.__version__
    )
    temporary = directory.with_name(directory.name + TEMPORARY_SUFFIX)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    write_durably(temporary / WEIGHTS, weights)
    write_durably(temporary / DESCRIPTION, (complete.model_dump_json(indent=2) + "\n").encode())
    shutil.rmtree(directory, ignore_errors=True)
    temporary.rename(directory)
    sync(directory.parent)


def load_bundle(directory: Path, device: torch.device | str = "cpu") -> Bundle:
    """Return the model in a bundle, on `device`, its SHA-256 verified.

    Raises:
        BundleError: a file is missing or was changed, the recipe is unknown, or the weights do not fit it.
    """
    content = read_part(directory / DESCRIPTION)
    description = parse_description(directory, content)
    weights = read_part(directory / WEIGHTS)
    if hashlib.sha256(weights).hexdigest() != description.weights_sha256:
        raise BundleError(f"{directory / WEIGHTS} was changed: its SHA-256 is not the one in {DESCRIPTION}")
    network = build_generator(description.recipe, description.image, len(description.label_names))
    try:
        network.load_state_dict(safetensors.torch.load(weights))
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise BundleError(
            f"{directory / WEIGHTS} does not fit the recipe in {DESCRIPTION}: {one_line(error, 300)}"
        ) from None
    placed = network.eval().requires_grad_(False).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Bundle(description, digest_of(content), placed, torch.device(device))
