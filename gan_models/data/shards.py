"""Datasets as sealed Parquet shards in the Hugging Face image layout.

`pandas.read_parquet` and `datasets.load_dataset("parquet", ...)` open the shards as they are. No PyTorch here: the
platform writes and inspects datasets without it.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from gan_models.data.image_row import COLUMNS, CONTENT_COLUMNS
from gan_models.errors import AtelierError
from gan_models.text import one_line

Split = Literal["train", "evaluation"]

_FEATURES = {"image": {"_type": "Image"}} | {
    name: {"dtype": column.dtype, "_type": "Value"} for name, column in COLUMNS.items()
}
SCHEMA = pa.schema(
    [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))]
    + [(name, pa.type_for_alias(column.dtype)) for name, column in COLUMNS.items()],
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)

_SPLIT_SALT = "atelier-split-304"  # It is part of every split ever made: another moves images.


class DataError(AtelierError):
    """A dataset that cannot be used; the message says what is wrong with it and what to do."""


@dataclass(frozen=True)
class Statistics:
    """What a dataset holds. `labels`: per split, the number of images of each label; sizes in pixels."""

    num_images: int
    num_shards: int
    num_bytes: int
    splits: dict[str, int]
    labels: dict[str, dict[str, int]]
    min_width: int
    max_width: int
    min_height: int
    max_height: int


def split_of(key: str, evaluation_share: float) -> Split:
    """Return the split of whatever `key` identifies, from a hash of the key alone.

    What is in evaluation stays there for every larger share, whatever else enters or leaves the dataset.
    """
    fraction = int.from_bytes(hashlib.sha256(f"{_SPLIT_SALT}:{key}".encode()).digest()[:8]) / 2**64
    return "evaluation" if fraction < evaluation_share else "train"


def shard_paths(directory: Path) -> list[Path]:
    """Return the shards in `directory`, sorted by name; none where there is no such directory."""
    return sorted(directory.glob("shard-*.parquet"))


def existing_shards(directory: Path) -> list[Path]:
    """Return the shards in `directory`, sorted by name.

    Raises:
        DataError: there are none.
    """
    paths = shard_paths(directory)
    if not paths:
        raise DataError(f"there are no shards in {directory}; build the dataset, or fetch it with `dvc pull`")
    return paths


def iterate_rows(directory: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the named columns of every row of a dataset, a shard at a time; images only where "image" is named.

    Raises:
        DataError: there are no shards in `directory`, or one is damaged.
    """
    for path in existing_shards(directory):
        yield from read_shard(path, columns).to_pylist()


def read_rows(directory: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Read the same rows as `iterate_rows`, all at once.

    Raises:
        DataError: as for `iterate_rows`.
    """
    return list(iterate_rows(directory, columns))


def content_digest(directory: Path) -> str:
    """Return 64 hexadecimal digits for a dataset's images and its facts about them, however they lie in shards.

    The SHA-256 of each row, added up: a digest of a set (AdHASH, Bellare and Micciancio 1997), so that nothing has to
    be sorted or kept.

    Raises:
        DataError: as for `iterate_rows`.
    """
    total = 0
    for row in iterate_rows(directory, CONTENT_COLUMNS):
        line = json.dumps([row[column] for column in CONTENT_COLUMNS])
        total += int.from_bytes(hashlib.sha256(line.encode()).digest())
    return f"{total % 2**256:064x}"


def statistics(directory: Path) -> Statistics:
    """Count the images of a dataset and their sizes, without reading them.

    Raises:
        DataError: as for `iterate_rows`.
    """
    images: Counter[tuple[str, str | None]] = Counter()
    widths: set[int] = set()
    heights: set[int] = set()
    for row in iterate_rows(directory, ["split", "label", "width", "height"]):
        images[row["split"], row["label"]] += 1
        widths.add(row["width"])
        heights.add(row["height"])
    splits = sorted({split for split, _ in images})
    labels = {split: [label for of, label in images if of == split and label is not None] for split in splits}
    paths = shard_paths(directory)
    return Statistics(
        num_images=images.total(),
        num_shards=len(paths),
        num_bytes=sum(path.stat().st_size for path in paths),
        splits={split: sum(number for (of, _), number in images.items() if of == split) for split in splits},
        labels={split: {name: images[split, name] for name in natural_order(labels[split])} for split in splits},
        min_width=min(widths),
        max_width=max(widths),
        min_height=min(heights),
        max_height=max(heights),
    )


def natural_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the different names, sorted with numbers in them by value: "2" before "10"."""

    def key(name: str) -> tuple[list[str | int], str]:
        parts = re.split(r"(\d+)", name)
        return [int(part) if i % 2 else part for i, part in enumerate(parts)], name

    return tuple(sorted(set(names), key=key))


def read_shard(path: Path, columns: Sequence[str]) -> Any:  # noqa: ANN401
    """Read columns of a shard, as a pyarrow table.

    Raises:
        DataError: the shard is damaged or lacks a column.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            missing = [column for column in columns if column not in file.schema_arrow.names]
            if missing:
                raise DataError(f"{path} has no column {missing[0]!r}; it is not a shard of an image dataset")
            return file.read(columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is damaged ({one_line(error)}); "
            "delete it and fetch it again with `dvc pull`, or rebuild the dataset"
        ) from error
