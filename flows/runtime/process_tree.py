"""Processes that belong together: they end with their parent, and are found again when it is gone without a word."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import psutil

MARK = (
    "ATELIER_STARTED_BY"  # in the environment of everything that one worker has started, whoever its parent is by now
)
PR_SET_PDEATHSIG = 1  # of prctl(2)
HELD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
POLL_SECONDS = 0.2
SECONDS_TO_DIE = 10.0  # after SIGKILL, where a process hangs in the kernel
libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def new_mark() -> str:
    """Return a mark that no other process has."""
    return uuid4().hex


def ended_with_parent() -> Callable[[], None] | None:
    """Return what a new process does first (`preexec_fn`) to be sent SIGTERM when its parent is killed.

    None where the kernel has no such thing: there, a process goes on until its work is done.
    """
    if libc is None:
        return None
    parent, prctl = os.getpid(), libc.prctl  # looked up here: what runs between fork and exec should do little

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:  # it was killed before it was asked for
            os.kill(os.getpid(), signal.SIGTERM)

    return ask


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Let signals to end wait until the context does: one that came while a process is started would lose it."""
    if threading.current_thread() is not threading.main_thread():  # no handler of Python's runs in another
        yield
        return
    held: list[int] = []
    before = {each: signal.signal(each, lambda number, _: held.append(number)) for each in HELD}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in held:
            signal.raise_signal(number)


def marked(mark: str) -> list[psutil.Process]:
    """Return the processes that carry a mark, orphans among them, without this one."""
    return [process for process in _of_this_user() if process.pid != os.getpid() and _mark_of(process) == mark]


def end_marked(mark: str, seconds: float) -> None:
    """Ask the processes that carry a mark to end, and kill what is left of them after so many seconds.

    Only those are asked whose parent is not among them: each of them ends its own children, in order.
    """
    asked: set[psutil.Process] = set()
    deadline = time.monotonic() + seconds
    while (processes := marked(mark)) and time.monotonic() < deadline + SECONDS_TO_DIE:
        late = time.monotonic() >= deadline
        for process in processes if late else _roots(processes) - asked:
            asked.add(process)
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(POLL_SECONDS)


def _roots(processes: list[psutil.Process]) -> set[psutil.Process]:
    pids = {process.pid for process in processes}
    roots = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.ppid() not in pids:
                roots.add(process)
    return roots


def _of_this_user() -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == os.getuid() and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def _mark_of(process: psutil.Process) -> str | None:
    with contextlib.suppress(psutil.Error, OSError):
        return str(process.environ().get(MARK))
    return None
