"""Scenes of shapes whose masks are exact: what a person would draw around discs and squares, without the drawing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flows.config.dataset_section import SourceConfig
from flows.datasets.builder import BuildReport, build_dataset
from flows.sources.open import open_source

CLASSES = {0: "background", 7: "disc", 130: "square"}
IGNORE = 255
SOURCE: dict[str, Any] = {"path": "inbox", "pairs": {"photo": "A", "mask": "B"}, "masks": "mask"}
RECIPE: dict[str, Any] = {
    "name": "pix2pix",
    "source_domain": "photo",
    "target_domain": "mask",
    "classes": CLASSES,
    "ignore": IGNORE,
    "width": 8,
    "num_stages": 3,
    "dropout": 0.0,
    "discriminator_width": 4,
    "discriminator_stages": 1,
    "learning_rate": 0.005,
}
# The gray level of two entries of this palette is one, and so is the color of two: only indices tell them apart.
PALETTE = {0: (0, 0, 0), 7: (200, 0, 0), 130: (200, 0, 0), 255: (224, 224, 192)}

Pixels = NDArray[np.uint8]


class Scene(NamedTuple):
    """A photograph, uint8 [side, side, 3], and its mask, uint8 [side, side]; a pixel around each shape is ignored."""

    photo: Pixels
    mask: Pixels


def scene(seed: int, side: int = 32) -> Scene:
    """A disc and a square, reddish and bluish, on a dim ground, all of them grainy; either may be missing."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    photo = np.full((side, side, 3), 60.0) + random.normal(0, 6, 3)
    mask = np.zeros((side, side), np.uint8)
    for value, color in ((7, (230, 80, 60)), (130, (60, 120, 240))):
        if random.uniform() < 0.2:
            continue
        radius = random.integers(side // 6, side // 3)
        y, x = random.integers(radius, side - radius, 2)
        down, right = np.abs(rows - y), np.abs(columns - x)
        distance = np.hypot(down, right) if value == 7 else np.maximum(down, right)
        mask[distance <= radius] = IGNORE
        mask[distance <= radius - 1] = value
        photo[distance <= radius] = color
    photo += random.normal(0, 12, photo.shape)
    return Scene(photo.clip(0, 255).astype(np.uint8), mask)


def as_palette(mask: Pixels) -> Image.Image:
    """A mask as an image of palette indices."""
    picture = Image.fromarray(mask)
    picture.putpalette([part for index in range(256) for part in PALETTE.get(index, (0, 0, 0))])
    assert picture.mode == "P"
    return picture


def write_scenes(root: Path, seeds: range, side: int = 32) -> Iterator[tuple[str, Scene]]:
    """Write scenes as `inbox/A/<name>.png` and `inbox/B/<name>.png`, every other mask with a palette; tell each."""
    for seed in seeds:
        made, name = scene(seed, side), f"{seed:03d}"
        masks = as_palette(made.mask) if seed % 2 else Image.fromarray(made.mask)
        for folder, picture in (("A", Image.fromarray(made.photo)), ("B", masks)):
            file = root / "inbox" / folder / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            picture.save(file)
        yield name, made


def build(root: Path, source: dict[str, Any] = SOURCE, **settings: Any) -> BuildReport:
    """Make the dataset `root / "data"` of what lies in `root / "inbox"`, remembering what was taken."""
    opened = open_source(SourceConfig.model_validate(source), root)
    folders = {"quarantine": root / "quarantine", "file_cache": root / "file-cache.sqlite"}
    return build_dataset([opened], root / "data", **{"evaluation_share": 0.25, **folders, **settings})
