"""Which images a dataset holds, and which a build has come across: in a file, because there may be millions of them."""

import sqlite3
from collections.abc import Container
from typing import Any, NamedTuple

import numpy as np

from gan_models.data.image_row import CONTENT_COLUMNS
from gan_models.data.shards import Split
from gan_models.ingest.perceptual_hash import Hashes

_TABLES = f"""
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -65536;
CREATE TABLE held ({", ".join(CONTENT_COLUMNS)}, PRIMARY KEY (id)) WITHOUT ROWID;
CREATE TABLE seen (id TEXT PRIMARY KEY, label TEXT, domain TEXT, source TEXT) WITHOUT ROWID;
CREATE TABLE hash (number INTEGER PRIMARY KEY, split TEXT, phash TEXT, source TEXT);
"""
_HOLD = f"INSERT OR REPLACE INTO held VALUES ({', '.join('?' * len(CONTENT_COLUMNS))})"
_ROWS_AT_ONCE = 1000


class Facts(NamedTuple):
    """What a source says of an image; it must not say two things of the same pixels."""

    label: str | None
    domain: str | None

    def contradiction(self, later: "Facts") -> str:
        """What `later` says otherwise, for an error message."""
        if self.domain != later.domain:
            return f"of the domain {self.domain!r}, not {later.domain!r}"
        return f"labeled {self.label!r}, not {later.label!r}"


class Inventory(Container[str]):
    """Contains the ids of the images that the dataset held before the build. The file goes with the object."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")  # a temporary file, which is used when the cache is full
        self._database.executescript(_TABLES)
        self._holds_some = False
        # What is not in the file yet: each call of SQLite costs as much as a hundred rows.
        self._hashes: list[tuple[str, str, str]] = []
        self._seen: dict[str, tuple[str, Facts]] = {}

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.held(key) is not None

    def hold(self, row: dict[str, Any]) -> None:
        """Take in a row of the dataset as it was."""
        self._database.execute(_HOLD, [row[column] for column in CONTENT_COLUMNS])
        self._holds_some = True

    def held(self, key: str) -> Facts | None:
        """Of an image that was in the dataset, what is said there."""
        if not self._holds_some:
            return None
        row = self._database.execute("SELECT label, domain FROM held WHERE id = ?", (key,)).fetchone()
        return row and Facts(*row)

    def pair_of(self, key: str) -> str | None:
        """Of an image that was in the dataset, what it shares with its partner."""
        row = self._database.execute("SELECT pair FROM held WHERE id = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def split_of(self, source: str) -> Split | None:
        """The split of the images in the dataset that came from there."""
        self._database.execute("CREATE INDEX IF NOT EXISTS by_source ON held (source)")
        row = self._database.execute("SELECT split FROM held WHERE source = ? LIMIT 1", (source,)).fetchone()
        return None if row is None else row[0]

    def see(self, key: str, source: str, facts: Facts) -> None:
        """Remember that the build came across these pixels there."""
        self._seen[key] = source, facts
        if len(self._seen) == _ROWS_AT_ONCE:
            rows = ((key, *facts, source) for key, (source, facts) in self._seen.items())
            self._database.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", rows)
            self._seen.clear()

    def seen(self, key: str) -> tuple[str, Facts] | None:
        """Where the build came across these pixels, and what is said of them there."""
        if key in self._seen:
            return self._seen[key]
        row = self._database.execute("SELECT label, domain, source FROM seen WHERE id = ?", (key,)).fetchone()
        return row and (row[2], Facts(*row[:2]))

    def add_hash(self, split: str, phash: str, source: str) -> None:
        """Of an image of the dataset as it will be."""
        self._hashes.append((split, phash, source))
        if len(self._hashes) == _ROWS_AT_ONCE:
            self._write_hashes()

    def hashes(self, split: str) -> tuple[Hashes, "np.ndarray[tuple[int], np.dtype[np.int64]]"]:
        """The perceptual hashes of a split, and the numbers by which `source` knows them: 16 bytes an image."""
        self._write_hashes()
        rows = self._database.execute("SELECT phash FROM hash WHERE split = ? ORDER BY number", (split,))
        hashes = np.fromiter((int(phash, 16) for (phash,) in rows), np.uint64)
        numbers = self._database.execute("SELECT number FROM hash WHERE split = ? ORDER BY number", (split,))
        return hashes, np.fromiter((number for (number,) in numbers), np.int64)

    def source(self, number: int) -> str:
        """Where the image came from whose hash has this number."""
        found = self._database.execute("SELECT source FROM hash WHERE number = ?", (int(number),)).fetchone()
        return str(found[0])

    def close(self) -> None:
        self._database.close()

    def _write_hashes(self) -> None:
        self._database.executemany("INSERT INTO hash VALUES (NULL, ?, ?, ?)", self._hashes)
        self._hashes.clear()
