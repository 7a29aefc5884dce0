"""Ctrl-C, SIGTERM and a terminal that is closed: a command ends in order, and at once where it is asked again."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import psutil

from flows.runtime.grace import FLOW_SECONDS

INTERRUPTED = 130  # the exit code of a command that was ended by Ctrl-C
SECONDS_APART = 1.0  # of two that were meant: shells, make and timeout pass on what a command has got already
SECONDS_UNTIL_TOLD = 3.0
STDOUT, STDERR = 1, 2


def on_interruption(first: Callable[[], object], again: Callable[[], object]) -> None:
    """Call `first` with the first signal that asks this process to end, and `again` where Ctrl-C is pressed after it.

    A background job is asked as well, which shells let ignore SIGINT; SIGHUP stays ignored where `nohup` has it so.
    """
    heard: list[float] = []
    terminals = [stream for stream in (STDOUT, STDERR) if os.isatty(stream)]

    def hear(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not heard:
            heard.append(now)
            if number == signal.SIGHUP:
                _forget(terminals)
            first()
        elif number == signal.SIGINT and len(heard) == 1 and now - heard[0] > SECONDS_APART:
            heard.append(now)
            again()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, hear)


def interrupt_in_order() -> None:
    """Let the first signal raise KeyboardInterrupt, and Ctrl-C after it end this process and what it has started.

    So does time: whoever asks a server that does not answer would do so for minutes.
    """
    asked = threading.Event()

    def interrupt() -> None:
        asked.set()
        raise KeyboardInterrupt

    on_interruption(interrupt, end_at_once)
    threading.Thread(target=_end_in_time, args=[asked], daemon=True).start()


def end_at_once() -> None:
    """Kill what this process has started, and end it."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _tell("stopped at once; run the same command again to go on from the last checkpoint")
    os._exit(INTERRUPTED)


def _end_in_time(asked: threading.Event) -> None:
    asked.wait()
    time.sleep(SECONDS_UNTIL_TOLD)
    _tell("stopping: what runs is asked to end, with a checkpoint (Ctrl-C again: without)")
    time.sleep(FLOW_SECONDS - SECONDS_UNTIL_TOLD)
    end_at_once()


def _forget(terminals: list[int]) -> None:
    """Write to nowhere instead of terminals that are gone, where each write would fail."""
    with Path(os.devnull).open("w") as nowhere:
        for stream in terminals:
            os.dup2(nowhere.fileno(), stream)


def _tell(line: str) -> None:
    with contextlib.suppress(OSError):
        os.write(STDERR, f"{line}\n".encode())  # not through a stream, which the signal may have interrupted
