"""What a source lists, sorted and counted on the disk: it may name millions of files."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gan_models.sqlite_batches import scratch_database


class SortedRows:
    """Rows of equally many values (str, bytes or int), sorted by all of them, in the order of Unicode.

    They are in a temporary file, which goes with the object; of it, 16 MiB are kept in memory.

    Args:
        rows: read once, at the beginning.
        num_columns: how many values each of them has.
    """

    def __init__(self, rows: Iterable[Sequence[Any]], num_columns: int) -> None:
        columns = [f"c{number}" for number in range(num_columns)]
        self._database = scratch_database(f"CREATE TABLE row ({', '.join(columns)});", cache_mib=16, shared=True)
        self._database.executemany(f"INSERT INTO row VALUES ({', '.join('?' * num_columns)})", rows)
        self._sorted = f"SELECT * FROM row ORDER BY {', '.join(columns)}"

    def __len__(self) -> int:
        """Return how many rows there are."""
        return int(self._database.execute("SELECT count(*) FROM row").fetchone()[0])

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows, sorted."""
        return iter(self._database.execute(self._sorted))
