import errno
import sqlite3

import pytest

from gan_models.files import is_disk_full
from gan_models.sqlite_batches import RowWriter, scratch_database


def numbers(database: sqlite3.Connection) -> list[int]:
    return [number for (number,) in database.execute("SELECT number FROM row ORDER BY number")]


def test_rows_are_written_when_there_are_enough_and_the_rest_when_asked_for():
    database = scratch_database("CREATE TABLE row (number INTEGER PRIMARY KEY);")
    writer = RowWriter(database, "INSERT OR REPLACE INTO row VALUES (?)", rows_at_once=3)
    assert [writer.put((number,)) for number in (5, 4, 3, 2)] == [False, False, True, False]
    assert numbers(database) == [3, 4, 5]
    writer.flush()
    writer.flush()
    assert numbers(database) == [2, 3, 4, 5]


def full_database() -> sqlite3.OperationalError:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE row (text)")
    database.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as failed:
        database.execute("INSERT INTO row VALUES (?)", ("x" * 100_000,))
    return failed.value


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError(errno.EFBIG, "File too large"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (OSError("without a number"), False),
        (full_database(), True),
    ],
    ids=str,
)
def test_a_full_disk_is_told_from_other_errors_whoever_says_it(error: OSError | sqlite3.OperationalError, full: bool):
    assert is_disk_full(error) is full


def test_a_table_that_is_missing_is_no_full_disk():
    with pytest.raises(sqlite3.OperationalError) as failed:
        sqlite3.connect(":memory:").execute("SELECT * FROM nowhere")
    assert not is_disk_full(failed.value)
