"""Bundles: a trained network with all that is needed to apply it, and no code or pickle in it.

A bundle is a directory of `model.safetensors`, the EMA weights, and `bundle.json`: the recipe, the images it works on,
its labels, where it comes from, and the SHA-256 of the weights.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from pydantic import ValidationError, field_validator
from torch import nn

from gan_models.config import ImageConfig, RecipeConfig, Section, Task
from gan_models.errors import AtelierError
from gan_models.files import TEMPORARY_SUFFIX, sync, write_durably
from gan_models.recipes import build_generator
from gan_models.text import one_line

WEIGHTS = "model.safetensors"
DESCRIPTION = "bundle.json"


class BundleError(AtelierError):
    """A directory that is no usable bundle; the message says why."""


class BundleDescription(Section):
    """`bundle.json`."""

    format: int = 1
    recipe: RecipeConfig
    image: ImageConfig
    label_names: tuple[str, ...]
    num_steps: int
    config_digest: str
    data_digest: str
    torch_version: str
    weights_sha256: str

    @field_validator("format")
    @classmethod
    def _is_known(cls, value: int) -> int:
        if value != 1:
            raise ValueError(f"is {value}, and this version reads format 1; use the version that wrote it")
        return value


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
        return self.recipe.task


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


def read_description(directory: Path) -> BundleDescription:
    """What `bundle.json` says, without a look at the weights.

    Raises:
        BundleError: it is missing or not valid, or its recipe is unknown.
    """
    return _parse(directory, _read(directory / DESCRIPTION))


def read_digest(directory: Path) -> str:
    """The digest of a bundle, see `Bundle`, without a look at the weights.

    Raises:
        BundleError: its description is missing.
    """
    return hashlib.sha256(_read(directory / DESCRIPTION)).hexdigest()


def load_bundle(directory: Path, device: torch.device | str = "cpu") -> Bundle:
    """The model in a bundle, on `device`, its SHA-256 verified.

    Raises:
        BundleError: a file is missing or was changed, the recipe is unknown, or the weights do not fit it.
    """
    content = _read(directory / DESCRIPTION)
    description = _parse(directory, content)
    weights = _read(directory / WEIGHTS)
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
    return Bundle(description, hashlib.sha256(content).hexdigest(), placed, torch.device(device))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path.parent} is not a bundle: {path.name} cannot be read ({error.strerror})") from None


def _parse(directory: Path, content: bytes) -> BundleDescription:
    try:
        return BundleDescription.model_validate(json.loads(content))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        raise BundleError(f"{directory / DESCRIPTION} is not valid: {problems}") from None
    except ValueError as error:
        raise BundleError(f"{directory / DESCRIPTION} is not JSON: {error}") from None
