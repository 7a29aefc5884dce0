"""Which images of a dataset a model works on, in what order and size, before any of them is decoded."""

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
from PIL import Image, ImageOps

from gan_models.config import ImageConfig
from gan_models.data.shards import DataError, natural_order, read_shard, shard_paths
from gan_models.ingest.decoding import DecodingLimits, UnreadableImageError, decode

COLUMNS = ["id", "split", "label", "domain", "width", "height", "source", "pair"]
IMAGES_PER_TASK = 64  # handing over one at a time costs as much as decoding it

Pixels = npt.NDArray[np.uint8]
Progress = Callable[[int, int], None]  # is told how many are done, and of how many


@dataclass(frozen=True)
class Listing:
    """The images of one split, or of one domain of it, sorted by id.

    image: how a model wants them
    rows: what the dataset says of each, and the path of its shard, by id
    label_names: the labels of the whole dataset, not only of this split
    shape: channels, height and width of each once decoded
    digest: SHA-256 of the ids and labels and of the image config: what these pixels and labels are
    """

    image: ImageConfig
    rows: dict[str, dict[str, Any]]
    label_names: tuple[str, ...]
    shape: tuple[int, int, int]
    digest: str

    @property
    def image_bytes(self) -> int:
        """Bytes of one decoded image."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def num_bytes(self) -> int:
        """Bytes of all of them decoded."""
        return len(self.rows) * self.image_bytes

    def part(self, positions: list[int]) -> "Listing":
        """The images at some positions, in their order."""
        ids = list(self.rows)
        rows = {ids[position]: self.rows[ids[position]] for position in positions}
        return replace(self, rows=rows, digest=_digest(self.image, self.label_names, rows))

    def decode(self, place: Callable[[int, Pixels], None], progress: Progress | None = None) -> None:
        """Decode every image, one shard in memory at a time, and hand it on: its position and its pixels [C, H, W].

        `place` is called from several threads.

        Raises:
            DataError: a shard or an image is damaged.
        """
        position = {id_: i for i, id_ in enumerate(self.rows)}
        decode_stored = _decoder_of_stored(self.shape)
        done = 0

        def decode_some(path: Path, part: list[tuple[str, bytes]]) -> int:
            for id_, data in part:
                pixels = decode_stored(data) if self._is_as_stored(id_) else None
                place(position[id_], _pixels(path, id_, data, self.image) if pixels is None else pixels)
            return len(part)

        with ThreadPoolExecutor(min(8, _num_cores())) as pool:
            for path in sorted({row["shard"] for row in self.rows.values()}):
                table = read_shard(path, ["id", "image"])
                files = pc.struct_field(table["image"], "bytes").to_pylist()
                wanted = [row for row in zip(table["id"].to_pylist(), files, strict=True) if row[0] in position]
                parts = [wanted[start : start + IMAGES_PER_TASK] for start in range(0, len(wanted), IMAGES_PER_TASK)]
                for number in pool.map(partial(decode_some, path), parts):
                    done += number
                    if progress:
                        progress(done, len(self.rows))

    def _is_as_stored(self, id_: str) -> bool:
        """Whether an image needs no scaling and no cutting."""
        row, (_, height, width) = self.rows[id_], self.shape
        return bool(row["width"] == width and row["height"] == height)


def list_split(
    directory: Path, split: str, image: ImageConfig, domain: str | None = None, *, limit: int | None = None
) -> Listing:
    """The images of a split, or of one domain of it; of those, with a limit, only so many of the first.

    Raises:
        DataError: no shards, an empty split, a damaged shard, labels on some images only, or sizes that `fit: crop`
            cannot use.
    """
    paths = shard_paths(directory)
    if not paths:
        raise DataError(f"there are no shards in {directory}; build the dataset, or fetch it with `dvc pull`")
    rows = {row["id"]: {**row, "shard": path} for path in paths for row in read_shard(path, COLUMNS).to_pylist()}
    if domain is not None:
        rows = _of_domain(rows, domain, directory)
    ids = sorted(id_ for id_, row in rows.items() if row["split"] == split)[:limit]
    if not ids:
        found = ", ".join(sorted({row["split"] for row in rows.values()}))
        raise DataError(f"the split '{split}' of {directory} is empty; its {len(rows)} images are in: {found}")
    label_names = natural_order(row["label"] for row in rows.values() if row["label"] is not None)
    unlabeled = sum(row["label"] is None for row in rows.values())
    if label_names and unlabeled:
        raise DataError(f"{unlabeled} of {len(rows)} images in {directory} have no label; label all of them or none")
    width, height = _decoded_size([rows[id_] for id_ in ids], directory, image)
    chosen = {id_: rows[id_] for id_ in ids}
    return Listing(
        image=image,
        rows=chosen,
        label_names=label_names,
        shape=(image.channels, height, width),
        digest=_digest(image, label_names, chosen),
    )


def _digest(image: ImageConfig, label_names: tuple[str, ...], rows: dict[str, dict[str, Any]]) -> str:
    facts = [image.model_dump(), label_names, [[id_, row["label"]] for id_, row in rows.items()]]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _of_domain(rows: dict[str, dict[str, Any]], domain: str, directory: Path) -> dict[str, dict[str, Any]]:
    chosen = {id_: row for id_, row in rows.items() if row["domain"] == domain}
    if not chosen:
        found = ", ".join(sorted({row["domain"] for row in rows.values() if row["domain"]})) or "none at all"
        raise DataError(
            f"{directory} has no images of the domain '{domain}', only of: {found}; name the domain of each source, "
            "as in `sources: [{path: inbox/paintings, domain: painting}]`, or of the two sides of its pairs, as in "
            "`sources: [{path: inbox/maps, pairs: {photo: A, map: B}}]`"
        )
    return chosen


def _decoded_size(rows: list[dict[str, Any]], directory: Path, image: ImageConfig) -> tuple[int, int]:
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


def _num_cores() -> int:
    """That this process may use, which in a container or under `taskset` are not all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _decoder_of_stored(shape: tuple[int, int, int]) -> Callable[[bytes], Pixels | None]:
    """Decodes a stored PNG to [C, H, W] in half of Pillow's time; None where it is of another shape, or damaged."""
    import torch
    import torchvision.io  # noqa: F401  registers the operator

    # The operator itself: the function around it takes a fifth of the time to warn that it is to move.
    decode_png = torch.ops.image.decode_png

    def decode_stored(data: bytes) -> Pixels | None:
        try:
            pixels: Pixels = decode_png(torch.frombuffer(bytearray(data), dtype=torch.uint8), 0, False).numpy()
        except RuntimeError:
            return None
        return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None

    return decode_stored


def _pixels(path: Path, id_: str, data: bytes, image: ImageConfig) -> Pixels:
    """A stored image as [C, H, W]."""
    try:
        stored = decode(data, limits=DecodingLimits(min_side=1))
    except UnreadableImageError as error:
        raise DataError(
            f"image {id_} in {path} cannot be read: {error}; fetch the shard again or rebuild the dataset"
        ) from error
    picture = stored.convert("L" if image.channels == 1 else "RGB")
    if image.fit == "resize":
        picture = ImageOps.fit(picture, (image.size, image.size), Image.Resampling.BICUBIC)
    pixels = np.asarray(picture)
    return pixels[None] if image.channels == 1 else pixels.transpose(2, 0, 1)
