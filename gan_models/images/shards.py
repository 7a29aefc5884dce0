"""Datasets as sealed Parquet shards in the Hugging Face image layout.

`pandas.read_parquet` and `datasets.load_dataset("parquet", ...)` open the shards as they are. No PyTorch here: the
platform writes and inspects datasets without it.
"""

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gan_models.files import sync

Split = Literal["train", "evaluation"]

_COLUMNS = {
    "id": ("string", pa.string()),
    "split": ("string", pa.string()),
    "label": ("string", pa.string()),
    "domain": ("string", pa.string()),
    "width": ("int32", pa.int32()),
    "height": ("int32", pa.int32()),
    "source": ("string", pa.string()),
    "pair": ("string", pa.string()),
    "phash": ("string", pa.string()),
    "look": ("binary", pa.binary()),
}
_FEATURES = {"image": {"_type": "Image"}} | {
    name: {"dtype": dtype, "_type": "Value"} for name, (dtype, _) in _COLUMNS.items()
}
_SCHEMA = pa.schema(
    [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))]
    + [(name, kind) for name, (_, kind) in _COLUMNS.items()],
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)

_SPLIT_SALT = "atelier-split-304"  # part of every split ever made: changing it moves images between splits


class DataError(ValueError):
    """A dataset that cannot be used; the message says what is wrong with it and what to do."""


@dataclass(frozen=True)
class ImageRecord:
    """One row of a dataset.

    data: the image file
    id: SHA-256 of its pixels
    source: where it was taken from
    pair: of an image that shows what another one shows in another domain, the id of the first of the two
    phash: the perceptual hash, by which near duplicates are found; None for an image of one colour
    look: brightness, colours and shapes in 14 bytes, by which versions are compared
    """

    data: bytes
    path: str
    id: str
    split: str
    label: str | None
    domain: str | None
    width: int
    height: int
    source: str
    pair: str | None = None
    phash: str | None = None
    look: bytes | None = None


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
    """The split of whatever `key` identifies, from a hash of the key alone.

    What is in evaluation stays there for every larger share, whatever else enters or leaves the dataset.
    """
    fraction = int.from_bytes(hashlib.sha256(f"{_SPLIT_SALT}:{key}".encode()).digest()[:8]) / 2**64
    return "evaluation" if fraction < evaluation_share else "train"


def write_shards(records: Iterable[ImageRecord], directory: Path, *, shard_bytes: int = 64 << 20) -> None:
    """Adds `records` to the dataset in `directory`, as new shards of about `shard_bytes` of images each.

    Records whose id is there already are left out, and shards that are there are never touched. Equal records make
    equal files, in whatever order they come. Nothing is added before `records` is exhausted and every new shard is
    safely on disk, so that an error raised by either leaves the dataset as it was.

    Raises:
        DataError: an existing shard is damaged.
    """
    existing = shard_paths(directory)
    known = {row["id"] for row in read_rows(directory, ["id"])} if existing else set()
    first = max(map(_number, existing), default=-1) + 1
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _staging(directory) as staging:
        sealed: list[Path] = []
        with (staging / "images").open("w+b") as spool:
            for shard in _in_shards(_sorted_on_disk(records, known, spool), shard_bytes):
                sealed.append(_seal(shard, staging, first + len(sealed)))
        directory.mkdir(exist_ok=True)
        for path in sealed:
            path.rename(directory / path.name)
        sync(directory)


def remove_images(directory: Path, ids: Collection[str]) -> set[str]:
    """Takes images out of the dataset in `directory`. The shards they are in are written anew, the others stay as
    they are, byte for byte; a shard that held nothing else is deleted.

    A new shard is in its place before the old one goes, so that a call that was cut short is made good by another.

    Returns:
        Those of `ids` that were there.

    Raises:
        DataError: there are no shards in `directory`, or one is damaged, or nothing would be left. Nothing is removed.
    """
    wanted, left = set(ids), 0
    found: dict[Path, set[str]] = {}
    for path in shard_paths(directory):
        held = set(read_shard(path, ["id"])["id"].to_pylist())
        left += len(held - wanted)
        if held & wanted:
            found[path] = held & wanted
    if not left:
        raise DataError(f"nothing would be left in {directory}; delete the dataset instead")
    if not found:
        return set()
    with _staging(directory) as staging:
        for path, gone in found.items():
            table = read_shard(path, pq.read_schema(path).names)
            kept = table.filter(pc.invert(pc.is_in(table["id"], pa.array(sorted(gone)))))
            if len(kept):
                new = _write(kept, staging, _number(path))
                new.rename(directory / new.name)
                sync(directory)
            path.unlink()
    sync(directory)
    return set().union(*found.values())


def shard_paths(directory: Path) -> list[Path]:
    """The shards in `directory`, sorted by name; none where there is no such directory."""
    return sorted(directory.glob("shard-*.parquet"))


def read_rows(directory: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The named columns of every row of a dataset; images are read only where "image" is among them.

    Raises:
        DataError: there are no shards in `directory`, or one is damaged.
    """
    paths = shard_paths(directory)
    if not paths:
        raise DataError(f"there are no shards in {directory}; build the dataset, or fetch it with `dvc pull`")
    return [row for path in paths for row in read_shard(path, columns).to_pylist()]


def content_digest(directory: Path) -> str:
    """SHA-256 of which images a dataset holds and what it says of them, however they are spread over shards.

    Raises:
        DataError: as for `read_rows`.
    """
    columns = ["id", "split", "label", "domain", "source"]
    lines = sorted(json.dumps([row[c] for c in columns]) for row in read_rows(directory, columns))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def statistics(directory: Path) -> Statistics:
    """Counts and sizes of a dataset, without reading its images.

    Raises:
        DataError: as for `read_rows`.
    """
    rows = read_rows(directory, ["split", "label", "width", "height"])
    splits = Counter(row["split"] for row in rows)
    labels = {
        split: Counter(row["label"] for row in rows if row["split"] == split and row["label"] is not None)
        for split in sorted(splits)
    }
    widths, heights = [row["width"] for row in rows], [row["height"] for row in rows]
    paths = shard_paths(directory)
    return Statistics(
        num_images=len(rows),
        num_shards=len(paths),
        num_bytes=sum(path.stat().st_size for path in paths),
        splits={split: splits[split] for split in sorted(splits)},
        labels={split: {name: counts[name] for name in natural_order(counts)} for split, counts in labels.items()},
        min_width=min(widths),
        max_width=max(widths),
        min_height=min(heights),
        max_height=max(heights),
    )


def natural_order(names: Iterable[str]) -> tuple[str, ...]:
    """The different names, sorted with numbers in them by value: "2" before "10"."""

    def key(name: str) -> tuple[list[str | int], str]:
        parts = re.split(r"(\d+)", name)
        return [int(part) if i % 2 else part for i, part in enumerate(parts)], name

    return tuple(sorted(set(names), key=key))


def _sorted_on_disk(records: Iterable[ImageRecord], known: set[str], spool: IO[bytes]) -> Iterator[ImageRecord]:
    """The records that are not known, each once, sorted by id; their images wait in `spool`, not in memory."""
    waiting: dict[str, tuple[int, int, ImageRecord]] = {}
    for record in records:
        if record.id not in known and record.id not in waiting:
            waiting[record.id] = (spool.tell(), len(record.data), replace(record, data=b""))
            spool.write(record.data)
    for id_ in sorted(waiting):
        offset, length, record = waiting[id_]
        spool.seek(offset)
        yield replace(record, data=spool.read(length))


def _in_shards(records: Iterable[ImageRecord], shard_bytes: int) -> Iterator[list[ImageRecord]]:
    shard: list[ImageRecord] = []
    size = 0
    for record in records:
        if shard and size + len(record.data) > shard_bytes:
            yield shard
            shard, size = [], 0
        shard.append(record)
        size += len(record.data)
    if shard:
        yield shard


@contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    """An empty folder beside the dataset, where files become whole before they join it."""
    folder = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)  # what a killed process left
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _number(shard: Path) -> int:
    return int(shard.name.split("-")[1])


def _seal(records: list[ImageRecord], directory: Path, number: int) -> Path:
    rows = [
        {"image": {"bytes": r.data, "path": r.path}} | {column: getattr(r, column) for column in _COLUMNS}
        for r in records
    ]
    return _write(pa.Table.from_pylist(rows, schema=_SCHEMA), directory, number)


def _write(table: Any, directory: Path, number: int) -> Path:  # noqa: ANN401
    """Writes a shard, named after its number and content, and waits until it is on disk."""
    temporary = directory / "shard"
    pq.write_table(table, temporary, compression="zstd", use_dictionary=False, write_page_checksum=True)
    sync(temporary)
    with temporary.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return temporary.rename(directory / f"shard-{number:05d}-{digest[:12]}.parquet")


def read_shard(path: Path, columns: Sequence[str]) -> Any:  # noqa: ANN401
    """Columns of a shard as a pyarrow table.

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
            f"{path} is damaged ({' '.join(str(error).split())}); "
            "delete it and fetch it again with `dvc pull`, or rebuild the dataset"
        ) from error
