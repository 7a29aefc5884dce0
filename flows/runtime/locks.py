"""Locks by name: of one machine's processes, and of all hosts that share a Prefect server."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from flows.config.settings import Settings
from flows.runtime.server_locks import locked_on_server


@contextmanager
def locked(settings: Settings, name: str) -> Iterator[int]:
    """Hold the lock of work that any host may take up, waiting for it.

    On this machine it is a file, which the kernel frees if the process dies. Where a Prefect server is set, it is a
    slot of the server's as well, which other hosts wait for; it is free minutes after its holder died. Neither is a
    promise, since a process may be paused for longer: whoever holds it has to ask, before each write that counts,
    whether its attempt is the current one (`tracking/attempts.py`).

    Yields:
        The file's descriptor; a child process that inherits it holds the lock of this machine as well.

    Raises:
        PrefectServerError: the server does not answer.
    """
    with locked_here(settings, name) as descriptor, locked_on_server(name, descriptor):
        yield descriptor


@contextmanager
def locked_here(settings: Settings, name: str) -> Iterator[int]:
    """Hold the lock of something that only this machine has, such as a file below `.atelier/`, waiting for it.

    Yields:
        As `locked`.
    """
    folder = settings.state / "locks"
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
