"""Rows of a dataset, of random pixels or of given images."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from gan_models.data.image_row import ImageRow
from gan_models.data.shard_writer import write_shards
from gan_models.data.shards import split_of
from gan_models.ingest.decoding import encode_png, image_id


def row_of(image: Image.Image, split: str, label: str | None = None) -> ImageRow:
    """A row with a given image."""
    return ImageRow(
        encode_png(image), "x.png", image_id(image), split, label, None, image.width, image.height, source="test"
    )


def record(
    seed: int, size: tuple[int, int] = (8, 8), label: str | None = "a", split: str | None = None, mode: str = "L"
) -> ImageRow:
    """A row with random pixels, in the split that its id is in unless one is named."""
    width, height = size
    shape = (height, width) if mode == "L" else (height, width, 3)
    image = Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))
    key = image_id(image)
    split = split or split_of(key, 0.3)
    return ImageRow(encode_png(image), f"{seed}.png", key, split, label, None, width, height, source="test")


def records(number: int, **options: Any) -> list[ImageRow]:
    """`record` of so many seeds."""
    return [record(seed, **options) for seed in range(number)]


def files(directory: Path) -> dict[str, bytes]:
    """What is in each file of a folder."""
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def write_digits(directory: Path) -> Path:
    """Write a dataset of digits of 32x32 pixels, 30 to evaluate on and 60 to train on; returns its folder."""
    digits = load_digits()
    images = [Image.fromarray((pixels * 15.9).astype(np.uint8)).resize((32, 32)) for pixels in digits.images[:90]]
    splits = ["evaluation"] * 30 + ["train"] * 60
    write_shards((row_of(i, s, str(t)) for i, s, t in zip(images, splits, digits.target, strict=False)), directory)
    return directory
