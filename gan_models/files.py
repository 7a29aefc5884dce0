"""Writing a file so that a crash or a full disk never leaves half of one under its name."""

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

TEMPORARY_SUFFIX = ".partial"


def write_durably(path: Path, content: bytes | memoryview, may_replace: Callable[[], None] = lambda: None) -> None:
    """Write `content` to `path`: temporary file, fsync, rename, fsync of the directory.

    Whenever the machine stops, `path` holds its old content or the new, whole; at worst a `*.partial` stays behind.

    Args:
        path: of the file.
        content: all of it.
        may_replace: called when all is written; where it raises, nothing changes under `path`.

    Raises:
        OSError: nothing was written under `path`, and the temporary file is removed.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    temporary.unlink(missing_ok=True)  # not to write into the file of a process that is still at it
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        may_replace()
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Make the content of a file, or the renames and deletions in a directory, outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_disk_full(error: OSError | sqlite3.OperationalError) -> bool:
    """Return whether an error says that there is no space left: on the disk, in the quota, or in a limit on files."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return error.sqlite_errorcode == sqlite3.SQLITE_FULL
