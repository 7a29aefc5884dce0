"""A split of a dataset as tensors in memory: decoded once, in one size, in the same order everywhere."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from gan_models.config import ImageConfig, TrainConfig, domains_of
from gan_models.images.decoding import DecodingLimits, UnreadableImageError, decode
from gan_models.images.shards import DataError, natural_order, read_rows, read_shard, shard_paths

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ImageSet:
    """One split of a dataset in memory, sorted by id.

    images: uint8 tensor [N, C, H, W]
    labels: int64 tensor [N] of indices into `label_names`, None where the dataset has no labels
    label_names: the labels of the whole dataset, not only of this split
    digest: SHA-256 of the ids and labels and of the image config: what these pixels and labels are
    """

    images: "Tensor"
    labels: "Tensor | None"
    label_names: tuple[str, ...]
    ids: tuple[str, ...]
    sources: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class TrainingData:
    """What a recipe trains on: images and, where it turns them into those of another domain, targets, unpaired."""

    images: ImageSet
    targets: ImageSet | None = None

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels that a model can be asked for: those of the targets, where there are targets."""
        return (self.targets or self.images).label_names

    @property
    def digest(self) -> str:
        """Of both."""
        if self.targets is None:
            return self.images.digest
        return hashlib.sha256(f"{self.images.digest} {self.targets.digest}".encode()).hexdigest()


def load_training_data(directory: Path, split: str, config: TrainConfig) -> TrainingData:
    """What the recipe of `config` needs of a split.

    Raises:
        DataError: see `load_split`.
    """
    source, target = domains_of(config.recipe)
    images = load_split(directory, split, config.image, source)
    return TrainingData(images, load_split(directory, split, config.image, target) if target else None)


def load_split(directory: Path, split: str, image: ImageConfig, domain: str | None = None) -> ImageSet:
    """Every image of a split, or of one domain of it, as the config asks for them.

    `fit: resize` scales the shorter side to `size` (bicubic, antialiased) and cuts out the centre; `fit: crop` keeps
    the stored size, which has to be one for all and `size` at least: windows are taken in training and by `windows`.

    Raises:
        DataError: no shards, an empty split, a damaged shard or image, labels on some images only, or sizes that
            `fit: crop` cannot use.
    """
    import torch

    columns = ["id", "split", "label", "domain", "width", "height", "source"]
    rows = {row["id"]: row for row in read_rows(directory, columns)}
    if domain is not None:
        rows = _of_domain(rows, domain, directory)
    ids = sorted(id_ for id_, row in rows.items() if row["split"] == split)
    if not ids:
        found = ", ".join(sorted({row["split"] for row in rows.values()}))
        raise DataError(f"the split '{split}' of {directory} is empty; its {len(rows)} images are in: {found}")
    label_names = natural_order(row["label"] for row in rows.values() if row["label"] is not None)
    unlabelled = sum(row["label"] is None for row in rows.values())
    if label_names and unlabelled:
        raise DataError(f"{unlabelled} of {len(rows)} images in {directory} have no label; label all of them or none")
    width, height = _tensor_size([rows[id_] for id_ in ids], directory, image)

    pixels = np.empty((len(ids), image.channels, height, width), np.uint8)
    position = {id_: i for i, id_ in enumerate(ids)}

    def place(path: Path, row: dict[str, Any]) -> None:
        pixels[position[row["id"]]] = _pixels(path, row, image)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for path in shard_paths(directory):  # one shard in memory at a time
            wanted = [row for row in read_shard(path, ["id", "image"]).to_pylist() if row["id"] in position]
            list(pool.map(place, [path] * len(wanted), wanted))

    index = {name: i for i, name in enumerate(label_names)}
    facts = [image.model_dump(), label_names, [[id_, rows[id_]["label"]] for id_ in ids]]
    return ImageSet(
        images=torch.from_numpy(pixels),
        labels=torch.tensor([index[rows[id_]["label"]] for id_ in ids]) if label_names else None,
        label_names=label_names,
        ids=tuple(ids),
        sources=tuple(rows[id_]["source"] for id_ in ids),
        digest=hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest(),
    )


def _of_domain(rows: dict[str, dict[str, Any]], domain: str, directory: Path) -> dict[str, dict[str, Any]]:
    chosen = {id_: row for id_, row in rows.items() if row["domain"] == domain}
    if not chosen:
        found = ", ".join(sorted({row["domain"] for row in rows.values() if row["domain"]})) or "none at all"
        raise DataError(
            f"{directory} has no images of the domain '{domain}', only of: {found}; name the domain of each source, "
            "as in `sources: [{path: inbox/paintings, domain: painting}]`"
        )
    return chosen


def windows(images: "Tensor", size: int) -> "Tensor":
    """The non-overlapping grid of windows of each image, from its top left, row by row; a rest at the edge is left.

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


def _tensor_size(rows: list[dict[str, Any]], directory: Path, image: ImageConfig) -> tuple[int, int]:
    """Width and height that the images of a split have in memory."""
    if image.fit == "resize":
        return image.size, image.size
    sizes = sorted({(row["width"], row["height"]) for row in rows})
    if len(sizes) > 1:
        raise DataError(
            f"the images in {directory} have {len(sizes)} different sizes, from {sizes[0][0]}x{sizes[0][1]} to "
            f"{sizes[-1][0]}x{sizes[-1][1]}, and `fit: crop` needs one; give the dataset a `tile`, or use `fit: resize`"
        )
    width, height = sizes[0]
    if min(width, height) < image.size:
        raise DataError(
            f"the images in {directory} are {width}x{height}, smaller than the windows of {image.size} pixels that "
            "`fit: crop` takes; use a larger `tile`, a smaller `size`, or `fit: resize`"
        )
    return width, height


def _pixels(path: Path, row: dict[str, Any], image: ImageConfig) -> npt.NDArray[np.uint8]:
    """A stored image as [C, H, W]."""
    try:
        stored = decode(row["image"]["bytes"], limits=DecodingLimits(min_side=1))
    except UnreadableImageError as error:
        raise DataError(
            f"image {row['id']} in {path} cannot be read: {error}; fetch the shard again or rebuild the dataset"
        ) from error
    picture = stored.convert("L" if image.channels == 1 else "RGB")
    if image.fit == "resize":
        picture = ImageOps.fit(picture, (image.size, image.size), Image.Resampling.BICUBIC)
    pixels = np.asarray(picture)
    return pixels[None] if image.channels == 1 else pixels.transpose(2, 0, 1)
