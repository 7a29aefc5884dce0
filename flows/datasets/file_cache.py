"""What became of each file of the sources, so that a nightly run reads only what is new.

The cache is never believed on its own: what it says of a file counts only while its images are in the dataset, or its
copy is in the quarantine folder. So it may be lost, damaged or ahead of a build that failed: files are read again then.
"""

import hashlib
import json
import sqlite3
from collections.abc import Container
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

from flows.sources.base import SourceItem
from gan_models.ingest.file_check import Demands, Examined, Piece
from gan_models.sqlite_batches import RowWriter

_TABLE = """CREATE TABLE IF NOT EXISTS taken (
    source TEXT, path TEXT, version TEXT, demands TEXT, id TEXT, pieces TEXT, reason TEXT, copy TEXT,
    PRIMARY KEY (source, path)
) WITHOUT ROWID"""
_INSERT = "INSERT OR REPLACE INTO taken VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_FILES_AT_ONCE = 5000  # that a death may cost


class FileCache:
    """One SQLite file of one dataset. Without a file it remembers nothing."""

    def __init__(self, file: Path | None, demands: Demands, code: str, quarantine: Path) -> None:
        """Open the cache. `code`: the digest of the code that examined; other code may judge otherwise."""
        self._demands = hashlib.sha256(json.dumps([asdict(demands), code]).encode()).hexdigest()
        self._quarantine = quarantine
        self._open(file)
        self._notes = RowWriter(self._database, _INSERT, _FILES_AT_ONCE)
        self._is_new = self._database.execute("SELECT 1 FROM taken LIMIT 1").fetchone() is None

    def recall(self, item: SourceItem, in_dataset: Container[str]) -> Examined | None:
        """Return what became of a file, without its bytes, where that is known and still holds."""
        if item.version is None or self._is_new:
            return None
        row = self._database.execute(
            "SELECT id, pieces, reason, copy FROM taken WHERE source = ? AND path = ? AND version = ? AND demands = ?",
            (item.source, item.path, item.version, self._asked_of(item)),
        ).fetchone()
        if row is None:
            return None
        key, pieces, reason, copy = row
        if reason:
            try:
                return Examined(reason=reason, rejected=(self._quarantine / copy).read_bytes() if copy else b"")
            except OSError:
                return None
        known = json.loads(pieces)
        if not all(one in in_dataset for one, _ in known):
            return None
        return Examined(key, tuple(Piece(b"", one, 0, 0, None, b"", corner and tuple(corner)) for one, corner in known))

    def note(self, item: SourceItem, examined: Examined, copy: str = "") -> None:
        """Remember what became of a file. `copy`: the name of its copy in the quarantine folder."""
        if item.version is None or (examined.reason and not copy):
            return
        pieces = json.dumps([[piece.id, piece.corner] for piece in examined.pieces])
        facts = self._asked_of(item), examined.id, pieces, examined.reason, copy
        if self._notes.put((item.source, item.path, item.version, *facts)):
            self._database.commit()

    def _asked_of(self, item: SourceItem) -> str:
        return f"{self._demands} mask" if item.is_mask else self._demands

    def close(self) -> None:
        """Keep what was noted; where the disk is too full for that, it is found out again."""
        with closing(self._database), suppress(sqlite3.OperationalError):
            self._notes.flush()
            self._database.commit()

    def _open(self, file: Path | None) -> None:
        if file is None:
            self._database = sqlite3.connect(":memory:")
            self._database.execute(_TABLE)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(file)
        try:
            self._database.execute("PRAGMA quick_check").fetchone()
            self._database.execute(_TABLE)
        except sqlite3.DatabaseError:  # damaged: what it knew is found out again
            self._database.close()
            file.unlink()
            self._database = sqlite3.connect(file)
            self._database.execute(_TABLE)
