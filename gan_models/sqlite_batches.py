"""Rows of SQLite written by the thousand, and databases that are only scratch.

A call of SQLite costs as much as a hundred rows, and while other threads run it waits for the interpreter's lock.
"""

import sqlite3
from typing import Any

ROWS_AT_ONCE = 1000


def scratch_database(tables: str, *, file: str = "", cache_mib: int = 64, shared: bool = False) -> sqlite3.Connection:
    """Return a database that need not outlive a crash.

    Args:
        tables: the statements that make its tables.
        file: where it is; without one it is a temporary file, used when the cache is full, which goes with the object.
        cache_mib: what of it is kept in memory.
        shared: whether other threads may use the connection.
    """
    database = sqlite3.connect(file, check_same_thread=not shared)
    settings = f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{cache_mib << 10};"
    database.executescript(settings + tables)
    return database


class RowWriter:
    """Hands rows to one statement of a database, many in a call. Rows that wait are not in the database yet."""

    def __init__(self, database: sqlite3.Connection, statement: str, rows_at_once: int = ROWS_AT_ONCE) -> None:
        """Take the statement that is run with each row."""
        self._database, self._statement, self._rows_at_once = database, statement, rows_at_once
        self._waiting: list[tuple[Any, ...]] = []

    def put(self, row: tuple[Any, ...]) -> bool:
        """Add a row.

        Returns:
            Whether it, and all that waited, are in the database now.
        """
        self._waiting.append(row)
        if len(self._waiting) < self._rows_at_once:
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Write the rows that wait."""
        if self._waiting:
            self._database.executemany(self._statement, self._waiting)
            self._waiting.clear()
