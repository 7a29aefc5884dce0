"""Which images of a dataset a model works on, in what order and size, before any of them is decoded."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gan_models.config import ImageConfig
from gan_models.data.fit import fit_in_words
from gan_models.data.shards import DataError, existing_shards, natural_order, read_shard
from gan_models.data.stored_images import Pixels, decode_stored, png_decoder

_COLUMNS = ["id", "split", "label", "domain", "width", "height", "pair"]
ROWS_AT_ONCE = 10_000
IMAGES_PER_TASK = 64  # Handing over one at a time costs as much as decoding it.

Progress = Callable[[int, int], None]  # It is called with the number done and the number of all.


@dataclass(frozen=True)
class Listing:
    """The images of one split, or of one domain of it, in order: sorted by id, unless it is a part in another order.

    image: how a model wants them
    rows: an Arrow table with a row for each: id, label (its index in `label_names`, or null), pair, width and height,
        shard (its index in `shards`) and row (its place in that shard)
    shards: the files that they are in
    label_names: the labels of the whole dataset, not only of this split
    shape: channels, height and width of each once decoded
    digest: SHA-256 of the ids and labels and of the image config: what these pixels and labels are
    are_masks: whether they say in each pixel what is there: one channel, whose values stay as they are
    """

    image: ImageConfig
    rows: Any
    shards: tuple[Path, ...]
    label_names: tuple[str, ...]
    shape: tuple[int, int, int]
    digest: str
    are_masks: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> list[str]:
        """Return the id of each image."""
        ids: list[str] = self.rows["id"].to_pylist()
        return ids

    @property
    def labels(self) -> npt.NDArray[np.int64] | None:
        """Return the index of each image's label in `label_names`, int64 [N]; None where the dataset has no labels."""
        return self.rows["label"].to_numpy().astype(np.int64) if self.label_names else None

    @property
    def image_bytes(self) -> int:
        """Return the bytes of one decoded image."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def num_bytes(self) -> int:
        """Return the bytes of all of them decoded."""
        return len(self) * self.image_bytes

    @property
    def fit_in_words(self) -> str:
        """Return what `image.fit` does to the images that are not square, for a person; empty where there are none."""
        sides = (self.rows[side].to_pylist() for side in ("width", "height"))
        return fit_in_words(self.image, zip(*sides, strict=True))

    def part(self, positions: Sequence[int] | npt.NDArray[np.int64]) -> "Listing":
        """Return the images at some positions, in the order of these."""
        rows = self.rows.take(pa.array(positions, pa.int64()))
        return replace(self, rows=rows, digest=_digest(self.image, self.label_names, rows, self.are_masks))

    def source_of(self, position: int) -> str:
        """Return where an image was taken from, which is read from its shard.

        Raises:
            DataError: the shard is damaged.
        """
        shard, row = (self.rows[name][position].as_py() for name in ("shard", "row"))
        return str(read_shard(self.shards[shard], ["source"])["source"][row])

    def decode(self, place: Callable[[int, Pixels], None], progress: Progress | None = None) -> None:
        """Decode every image, one shard in memory at a time, and hand on its position and its pixels [C, H, W].

        `place` is called from several threads.

        Raises:
            DataError: a shard or an image is damaged.
        """
        decode_png = png_decoder(self.shape)
        is_as_stored = self._is_as_stored()
        done = 0

        def decode_some(path: Path, part: list[tuple[int, bytes]]) -> int:
            for position, data in part:
                pixels = decode_png(data) if is_as_stored[position] else None
                if pixels is None:
                    pixels = decode_stored(
                        path, self.rows["id"][position].as_py(), data, self.image, are_masks=self.are_masks
                    )
                place(position, pixels)
            return len(part)

        with ThreadPoolExecutor(min(8, _num_cores())) as pool:
            for path, positions, rows in self._by_shard():
                files = pc.struct_field(read_shard(path, ["image"])["image"], "bytes").to_pylist()
                wanted = [(position, files[row]) for position, row in zip(positions, rows, strict=True)]
                parts = [wanted[start : start + IMAGES_PER_TASK] for start in range(0, len(wanted), IMAGES_PER_TASK)]
                for number in pool.map(partial(decode_some, path), parts):
                    done += number
                    if progress:
                        progress(done, len(self))

    def _is_as_stored(self) -> npt.NDArray[np.bool_]:
        """Return for each image whether it needs no scaling and no cutting."""
        _, height, width = self.shape
        same: npt.NDArray[np.bool_] = (self.rows["width"].to_numpy() == width) & (
            self.rows["height"].to_numpy() == height
        )
        return same

    def _by_shard(self) -> Iterator[tuple[Path, list[int], list[int]]]:
        """Yield each shard with the positions of its images in the listing, and their rows in the shard."""
        shards, rows = (self.rows[name].to_numpy() for name in ("shard", "row"))
        order = np.argsort(shards, kind="stable")
        for positions in np.split(order, np.flatnonzero(np.diff(shards[order])) + 1):
            yield self.shards[shards[positions[0]]], positions.tolist(), rows[positions].tolist()


def list_split(
    directory: Path,
    split: str,
    image: ImageConfig,
    domain: str | None = None,
    *,
    limit: int | None = None,
    are_masks: bool = False,
) -> Listing:
    """List the images of a split, or of one domain of it; of those, with a limit, only so many of the first.

    Raises:
        DataError: no shards, an empty split, a damaged shard, labels on some images only, or sizes that `fit: crop`
            cannot use.
    """
    shards = existing_shards(directory)
    everything = pa.concat_tables([_read_facts(path, number) for number, path in enumerate(shards)])
    if domain is not None:
        everything = _of_domain(everything, domain, directory)
    rows = _sorted_by_id(everything.filter(pc.equal(everything["split"], split)))[:limit]
    if not len(rows):
        found = ", ".join(sorted(everything["split"].unique().to_pylist()))
        raise DataError(f"the split '{split}' of {directory} is empty; its {len(everything)} images are in: {found}")
    label_names = _label_names(everything["label"], directory)
    width, height = _decoded_size(rows, directory, image)
    labels = pc.index_in(rows["label"], value_set=pa.array(label_names, pa.string()))
    rows = rows.drop_columns(["split", "domain", "label"]).append_column("label", labels).combine_chunks()
    return Listing(
        image=image,
        rows=rows,
        shards=tuple(shards),
        label_names=label_names,
        shape=(1 if are_masks else image.channels, height, width),
        digest=_digest(image, label_names, rows, are_masks),
        are_masks=are_masks,
    )


def _read_facts(path: Path, number: int) -> Any:  # noqa: ANN401
    """Read a shard's facts about its images, as an Arrow table with the columns of `Listing.rows` and some more."""
    table = read_shard(path, _COLUMNS)
    for name in ("id", "pair"):
        # A column of the usual string type ends at 2 GiB, which is 33 million ids.
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.large_string()))
    places = {"shard": np.full(len(table), number, np.int32), "row": np.arange(len(table), dtype=np.int32)}
    for name, column in places.items():
        table = table.append_column(name, pa.array(column))
    return table


def _sorted_by_id(rows: Any) -> Any:  # noqa: ANN401
    """Sort rows by id; of several with one id, which a removal that was cut short leaves, the last is kept."""
    rows = rows.take(pc.sort_indices(rows["id"])).combine_chunks()
    if len(rows) < 2:
        return rows
    differs = pc.not_equal(rows["id"][1:], rows["id"][:-1]).to_numpy()
    return rows.filter(pa.array(np.append(differs, True)))


def _label_names(labels: Any, directory: Path) -> tuple[str, ...]:  # noqa: ANN401
    """Return the different labels of a whole dataset, in order.

    Raises:
        DataError: some images have a label, and others have none.
    """
    if labels.null_count and labels.null_count < len(labels):
        raise DataError(
            f"{labels.null_count} of {len(labels)} images in {directory} have no label; label all of them or none"
        )
    return natural_order(labels.drop_null().unique().to_pylist())


def _digest(image: ImageConfig, label_names: tuple[str, ...], rows: Any, are_masks: bool) -> str:  # noqa: ANN401
    """Return the SHA-256 of the JSON of `[image, label_names, [[id, label], ...]]`, which is never whole in memory."""
    head = json.dumps([image.model_dump(), label_names, []], sort_keys=True)
    digest = hashlib.sha256(head.removesuffix("]]").encode())
    names = (*label_names, None)  # An image without a label has -1, the last.
    for number, batch in enumerate(rows.select(["id", "label"]).to_batches(max_chunksize=ROWS_AT_ONCE)):
        ids, labels = batch.column("id").to_pylist(), batch.column("label").fill_null(-1).to_pylist()
        pairs = [[key, names[label]] for key, label in zip(ids, labels, strict=True)]
        digest.update(((", " if number else "") + json.dumps(pairs)[1:-1]).encode())
    digest.update(b'], "masks"]' if are_masks else b"]]")
    return digest.hexdigest()


def _of_domain(rows: Any, domain: str, directory: Path) -> Any:  # noqa: ANN401
    """Return the rows of one domain.

    Raises:
        DataError: there are none.
    """
    chosen = rows.filter(pc.equal(rows["domain"], domain))
    if not len(chosen):
        found = ", ".join(sorted(rows["domain"].drop_null().unique().to_pylist())) or "none at all"
        raise DataError(
            f"{directory} has no images of the domain '{domain}', only of: {found}; name the domain of each source, "
            "as in `sources: [{path: inbox/paintings, domain: painting}]`, or of the two sides of its pairs, as in "
            "`sources: [{path: inbox/maps, pairs: {photo: A, map: B}}]`"
        )
    return chosen


def _decoded_size(rows: Any, directory: Path, image: ImageConfig) -> tuple[int, int]:  # noqa: ANN401
    """Return the width and height that the images of a split have in memory."""
    if image.fit != "crop":
        return image.size, image.size
    found = rows.group_by(["width", "height"]).aggregate([]).to_pylist()
    sizes = sorted((row["width"], row["height"]) for row in found)
    if len(sizes) > 1:
        raise DataError(
            f"the images in {directory} have {len(sizes)} different sizes, from {sizes[0][0]}x{sizes[0][1]} to "
            f"{sizes[-1][0]}x{sizes[-1][1]}, and `fit: crop` needs one; give the dataset a `tile`, or use `fit: cover`"
        )
    width, height = sizes[0]
    if min(width, height) < image.size:
        raise DataError(
            f"the images in {directory} are {width}x{height}, smaller than the windows of {image.size} pixels that "
            "`fit: crop` takes; use a larger `tile`, a smaller `size`, or `fit: cover`"
        )
    return width, height


def _num_cores() -> int:
    """Count the cores that this process may use, which in a container or under `taskset` are not all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
