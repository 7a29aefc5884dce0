"""A split of a dataset as tensors: decoded once, in one size, in the same order everywhere."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gan_models.config import ImageConfig, TrainConfig
from gan_models.data.pairs import list_pairs
from gan_models.data.shards import DataError
from gan_models.data.split_index import Listing, Progress, list_split
from gan_models.data.stored_images import Pixels

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ImageSet:
    """One split of a dataset, sorted by id.

    images: uint8 tensor [N, C, H, W], in memory or mapped from a file
    labels: int64 tensor [N] of indices into `label_names`, None where the dataset has no labels
    label_names: the labels of the whole dataset, not only of this split
    digest: SHA-256 of the ids and labels and of the image config: what these pixels and labels are
    """

    images: "Tensor"
    labels: "Tensor | None"
    label_names: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class TrainingData:
    """What a recipe trains on: images and, where it turns them into those of another domain, targets.

    is_paired: each image's partner is at its place among the targets
    """

    images: ImageSet
    targets: ImageSet | None = None
    is_paired: bool = field(default=False, kw_only=True)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Return the labels that a model can be asked for: those of the targets, where there are targets."""
        return (self.targets or self.images).label_names

    @property
    def digest(self) -> str:
        """Return the digest of both, and of whether they are pairs."""
        if self.targets is None:
            return self.images.digest
        facts = f"{self.images.digest} {self.targets.digest}{' paired' if self.is_paired else ''}"
        return hashlib.sha256(facts.encode()).hexdigest()


def list_training_data(directory: Path, split: str, config: TrainConfig, *, limit: int | None = None) -> list[Listing]:
    """List what the recipe of `config` needs of a split: images and, where it has such, targets, aligned if paired.

    Raises:
        DataError: see `list_split`, `list_pairs`; or a label that the model could be asked for has no training image.
    """
    pair = config.recipe.paired_domains
    if pair is not None:
        are_masks = config.recipe.mask_classes is not None
        return list(list_pairs(directory, split, config.image, pair, limit=limit, are_masks=are_masks))
    source, target = config.recipe.domains
    domains = [source] if target is None else [source, target]
    listings = [list_split(directory, split, config.image, domain, limit=limit) for domain in domains]
    if split == "train" and limit is None and config.recipe.uses_labels:
        _refuse_unseen_labels(listings[-1], directory)
    return listings


def _refuse_unseen_labels(listing: Listing, directory: Path) -> None:
    seen = set(np.unique(listing.labels).tolist()) if listing.labels is not None else set()
    unseen = [label for index, label in enumerate(listing.label_names) if index not in seen]
    if unseen:
        raise DataError(
            f"the training images in {directory} lack the label{'s' if unseen[1:] else ''} {', '.join(unseen)}, which "
            "evaluation images have: a model would be asked for what it never saw; add images of it, or remove its own"
        )


def load_split(directory: Path, split: str, image: ImageConfig, domain: str | None = None) -> ImageSet:
    """Load every image of a split, or of one domain of it, into memory, as the config asks for them.

    `fit: cover` and `fit: resize` make squares of `size` pixels (see `gan_models.data.fit`); `fit: crop` keeps
    the stored size, which has to be one for all and `size` at least: windows are taken in training and by `windows`.

    Raises:
        DataError: see `list_split`; or an image is damaged.
    """
    return load(list_split(directory, split, image, domain))


def load(listing: Listing, progress: Progress | None = None) -> ImageSet:
    """Decode the images of a listing into memory.

    Raises:
        DataError: a shard or an image is damaged.
    """
    import torch

    pixels = np.empty((len(listing), *listing.shape), np.uint8)

    def place(index: int, image: Pixels) -> None:
        pixels[index] = image

    listing.decode(place, progress)
    return with_pixels(listing, torch.from_numpy(pixels))


def with_pixels(listing: Listing, images: "Tensor") -> ImageSet:
    """Return the set of a listing whose images, uint8 [N, C, H, W], have been decoded."""
    import torch

    labels = listing.labels
    return ImageSet(
        images=images,
        labels=None if labels is None else torch.from_numpy(labels),
        label_names=listing.label_names,
        digest=listing.digest,
    )


def windows(images: "Tensor", size: int) -> "Tensor":
    """Cut each image into windows that do not overlap, from its top left, row by row, without the rest at the edge.

    images: tensor [N, C, H, W]; returns a tensor [N * (H // size) * (W // size), C, size, size]

    Raises:
        ValueError: the images are smaller than a window.
    """
    number, channels, height, width = images.shape
    rows, columns = height // size, width // size
    if not rows or not columns:
        raise ValueError(f"no {size}x{size} window fits into images of {width}x{height}")
    grid = images[:, :, : rows * size, : columns * size].reshape(number, channels, rows, size, columns, size)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, size, size)
