"""Which images a dataset holds, and which a build has come across: in a file, because there may be millions of them."""

from collections.abc import Container
from typing import Any, NamedTuple

import numpy as np

from gan_models.data.image_row import CONTENT_COLUMNS
from gan_models.data.shards import Split
from gan_models.ingest.perceptual_hash import Hashes
from gan_models.sqlite_batches import RowWriter, scratch_database

_TABLES = f"""
CREATE TABLE held ({", ".join(CONTENT_COLUMNS)}, PRIMARY KEY (id)) WITHOUT ROWID;
CREATE TABLE seen (id TEXT PRIMARY KEY, label TEXT, domain TEXT, source TEXT) WITHOUT ROWID;
CREATE TABLE hash (number INTEGER PRIMARY KEY, split TEXT, phash TEXT, source TEXT);
"""
_HOLD = f"INSERT OR REPLACE INTO held VALUES ({', '.join('?' * len(CONTENT_COLUMNS))})"


class Facts(NamedTuple):
    """What a source says of an image; it must not say two things of the same pixels."""

    label: str | None
    domain: str | None

    def contradiction(self, later: "Facts") -> str:
        """Return what `later` says otherwise, for an error message."""
        if self.domain != later.domain:
            return f"of the domain {self.domain!r}, not {later.domain!r}"
        return f"labeled {self.label!r}, not {later.label!r}"


class ImageIndex(Container[str]):
    """Contains the ids of the images that the dataset held before the build. The file goes with the object."""

    def __init__(self) -> None:
        """Begin with an index of nothing."""
        self._database = scratch_database(_TABLES)
        self._holds_some = False
        self._held = RowWriter(self._database, _HOLD)
        self._hashes = RowWriter(self._database, "INSERT INTO hash VALUES (NULL, ?, ?, ?)")
        self._seen = RowWriter(self._database, "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)")
        self._just_seen: dict[str, tuple[str, Facts]] = {}  # those that wait to be written

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.held(key) is not None

    def hold(self, row: dict[str, Any]) -> None:
        """Take in a row of the dataset as it was."""
        self._held.put(tuple(row[column] for column in CONTENT_COLUMNS))
        self._holds_some = True

    def held(self, key: str) -> Facts | None:
        """Return what the dataset says of an image that was in it, None of any other."""
        if not self._holds_some:
            return None
        self._held.flush()
        row = self._database.execute("SELECT label, domain FROM held WHERE id = ?", (key,)).fetchone()
        return row and Facts(*row)

    def pair_of(self, key: str) -> str | None:
        """Return what an image that was in the dataset shares with its partner; None where it has none."""
        self._held.flush()
        row = self._database.execute("SELECT pair FROM held WHERE id = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def split_of(self, source: str) -> Split | None:
        """Return the split of the images in the dataset that came from a source; None where there are none."""
        self._held.flush()
        self._database.execute("CREATE INDEX IF NOT EXISTS by_source ON held (source)")
        row = self._database.execute("SELECT split FROM held WHERE source = ? LIMIT 1", (source,)).fetchone()
        return None if row is None else row[0]

    def see(self, key: str, source: str, facts: Facts) -> None:
        """Remember that the build came across these pixels there."""
        self._just_seen[key] = source, facts
        if self._seen.put((key, *facts, source)):
            self._just_seen.clear()

    def seen(self, key: str) -> tuple[str, Facts] | None:
        """Return where the build came across these pixels, and what is said of them there."""
        if key in self._just_seen:
            return self._just_seen[key]
        row = self._database.execute("SELECT label, domain, source FROM seen WHERE id = ?", (key,)).fetchone()
        return row and (row[2], Facts(*row[:2]))

    def add_hash(self, split: str, phash: str, source: str) -> None:
        """Take in the hash of an image of the dataset as it will be."""
        self._hashes.put((split, phash, source))

    def hashes(self, split: str) -> tuple[Hashes, "np.ndarray[tuple[int], np.dtype[np.int64]]"]:
        """Return the perceptual hashes of a split, and the numbers by which `source` knows them: 16 bytes an image."""
        self._hashes.flush()
        rows = self._database.execute("SELECT phash FROM hash WHERE split = ? ORDER BY number", (split,))
        hashes = np.fromiter((int(phash, 16) for (phash,) in rows), np.uint64)
        numbers = self._database.execute("SELECT number FROM hash WHERE split = ? ORDER BY number", (split,))
        return hashes, np.fromiter((number for (number,) in numbers), np.int64)

    def source(self, number: int) -> str:
        """Return where the image came from whose hash has this number."""
        found = self._database.execute("SELECT source FROM hash WHERE number = ?", (int(number),)).fetchone()
        return str(found[0])

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
