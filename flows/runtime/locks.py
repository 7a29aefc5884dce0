"""Locks of a project on one machine."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from flows.config.settings import Settings


@contextmanager
def locked(settings: Settings, name: str) -> Iterator[int]:
    """Hold a lock of this project by name, waiting for it; the kernel frees it if the process dies.

    Yields:
        The lock's file descriptor; a child process that inherits it holds the lock as well.
    """
    folder = settings.state / "locks"
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
