"""What a bundle says of itself, without a look at its weights: the one reader of `bundle.json`, without PyTorch.

`bundle.json` holds the recipe, the images it works on, its labels, where it comes from, and the SHA-256 of the weights.
"""

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError, field_validator

from gan_models.config import ImageConfig, RecipeConfig, Section, Task
from gan_models.errors import AtelierError

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

    @property
    def task(self) -> Task:
        """What its model does."""
        return self.recipe.task

    @field_validator("format")
    @classmethod
    def _is_known(cls, value: int) -> int:
        if value != 1:
            raise ValueError(f"is {value}, and this version reads format 1; use the version that wrote it")
        return value


def is_bundle(directory: Path) -> bool:
    """Return whether a directory holds a bundle, whatever it is worth."""
    return (directory / DESCRIPTION).is_file()


def read_description(directory: Path) -> BundleDescription:
    """Return what `bundle.json` says.

    Raises:
        BundleError: it is missing or not valid, or its recipe is unknown.
    """
    return parse_description(directory, read_part(directory / DESCRIPTION))


def read_digest(directory: Path) -> str:
    """Return the digest of a bundle, the SHA-256 of its `bundle.json`, which holds that of the weights.

    Raises:
        BundleError: its description is missing.
    """
    return digest_of(read_part(directory / DESCRIPTION))


def digest_of(description: bytes) -> str:
    """Return the digest of a bundle whose `bundle.json` holds `description`."""
    return hashlib.sha256(description).hexdigest()


def read_part(path: Path) -> bytes:
    """Return the content of a file of a bundle.

    Raises:
        BundleError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path.parent} is not a bundle: {path.name} cannot be read ({error.strerror})") from None


def parse_description(directory: Path, content: bytes) -> BundleDescription:
    """Return what the `bundle.json` of a directory says, of its content.

    Raises:
        BundleError: it is not valid, or its recipe is unknown.
    """
    try:
        return BundleDescription.model_validate(json.loads(content))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        raise BundleError(f"{directory / DESCRIPTION} is not valid: {problems}") from None
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{directory / DESCRIPTION} is not JSON: {error}") from None
