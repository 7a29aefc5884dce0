"""Writing shards, and taking images out of them, so that a crash or a full disk never leaves half a dataset."""

import hashlib
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gan_models.data.image_row import COLUMNS, ImageRow
from gan_models.data.shards import SCHEMA, DataError, iterate_rows, read_shard, shard_paths
from gan_models.files import sync
from gan_models.sqlite_batches import RowWriter, scratch_database

ROW_GROUP_BYTES = 8 << 20  # The size of the images in a row group.


def write_shards(records: Iterable[ImageRow], directory: Path, *, shard_bytes: int = 64 << 20) -> None:
    """Add `records` to the dataset in `directory`, as new shards of about `shard_bytes` of images each.

    A shard holds images of one split, sorted by id. Records whose id is there already are left out, and shards that are
    there are never touched. Equal records make equal files, in whatever order they come. Nothing is added before
    `records` is exhausted and every new shard is safely on disk, so that an error raised by either leaves the dataset
    as it was. It takes some tens of MiB of memory, however many records there are.

    Raises:
        DataError: an existing shard is damaged.
    """
    existing = shard_paths(directory)
    first = max(map(_number, existing), default=-1) + 1
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _staging(directory) as staging:
        sealed: list[Path] = []
        with closing(_Spool(staging)) as spool:
            for record in records:
                spool.put(record)
            if existing:
                spool.discard(row["id"] for row in iterate_rows(directory, ["id"]))
            for number, shard in groupby(_numbered(spool.records(), shard_bytes), key=itemgetter(0)):
                tables = map(_as_table, _in_row_groups(record for _, record in shard))
                sealed.append(_seal(tables, staging, first + number))
        directory.mkdir(exist_ok=True)
        for path in sealed:
            path.rename(directory / path.name)
        sync(directory)


def remove_images(directory: Path, ids: Collection[str]) -> set[str]:
    """Take images out of the dataset in `directory`.

    The shards they are in are written again, the others stay as they are, byte for byte; a shard that held nothing
    else is deleted. A new shard is in its place before the old one goes, so that a call that was cut short is made
    good by another.

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
                new = _seal([kept], staging, _number(path))
                new.rename(directory / new.name)
                sync(directory)
            path.unlink()
    sync(directory)
    return set().union(*found.values())


class _Spool:
    """Records that wait on the disk, and are read again sorted: there may be millions of them."""

    def __init__(self, folder: Path) -> None:
        self._images = (folder / "images").open("w+b")
        names = ["path", *COLUMNS]
        columns = ", ".join("id TEXT PRIMARY KEY" if name == "id" else name for name in names)
        table = f"CREATE TABLE record (offset, length, {columns}) WITHOUT ROWID;"
        self._facts = scratch_database(table, file=str(folder / "facts"))
        insert = f"INSERT OR IGNORE INTO record VALUES (?, ?, {', '.join('?' * len(names))})"
        self._new_facts = RowWriter(self._facts, insert)
        self._facts_of = attrgetter(*names)
        self._end = 0

    def put(self, record: ImageRow) -> None:
        """Take in a record; of several with one id, the first is kept."""
        self._new_facts.put((self._end, len(record.data), *self._facts_of(record)))
        self._end += self._images.write(record.data)

    def discard(self, ids: Iterable[str]) -> None:
        self._new_facts.flush()
        self._facts.executemany("DELETE FROM record WHERE id = ?", ((one,) for one in ids))

    def records(self) -> Iterator[ImageRow]:
        """Yield the records by split, and within one by id."""
        self._new_facts.flush()
        splits = [split for (split,) in self._facts.execute("SELECT DISTINCT split FROM record ORDER BY split")]
        for split in splits:
            for offset, length, *facts in self._facts.execute(
                "SELECT * FROM record WHERE split = ? ORDER BY id", (split,)
            ):
                self._images.seek(offset)
                yield ImageRow(self._images.read(length), *facts)

    def close(self) -> None:
        self._images.close()
        self._facts.close()


def _numbered(records: Iterable[ImageRow], shard_bytes: int) -> Iterator[tuple[int, ImageRow]]:
    """Yield records with the number of the shard that each goes to, from 0."""
    number, size, split = -1, 0, None
    for record in records:
        if record.split != split or size + len(record.data) > shard_bytes:
            number, size, split = number + 1, 0, record.split
        size += len(record.data)
        yield number, record


def _in_row_groups(records: Iterable[ImageRow]) -> Iterator[list[ImageRow]]:
    """Yield lists of records of about `ROW_GROUP_BYTES`, which is what is in memory at a time."""
    group: list[ImageRow] = []
    size = 0
    for record in records:
        group.append(record)
        size += len(record.data)
        if size >= ROW_GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


@contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    """Make an empty folder next to the dataset, where files become whole before they join it."""
    folder = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)  # A killed process may have left it.
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _number(shard: Path) -> int:
    return int(shard.name.split("-")[1])


def _as_table(records: list[ImageRow]) -> Any:  # noqa: ANN401
    columns = {name: [getattr(record, name) for record in records] for name in COLUMNS}
    images = [{"bytes": record.data, "path": record.path} for record in records]
    return pa.Table.from_pydict({"image": images, **columns}, schema=SCHEMA)


def _seal(tables: Iterable[Any], directory: Path, number: int) -> Path:
    """Write a shard, named after its number and content, and wait until it is on disk."""
    temporary = directory / "shard"
    options = {"compression": "zstd", "use_dictionary": False, "write_page_checksum": True}
    with pq.ParquetWriter(temporary, SCHEMA, **options) as writer:
        for table in tables:
            writer.write_table(table)
    sync(temporary)
    with temporary.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return temporary.rename(directory / f"shard-{number:05d}-{digest[:12]}.parquet")
