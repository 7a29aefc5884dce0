"""Training and evaluation in a process of their own, under a limit of memory and of time.

Memory is watched from here, not limited by the kernel: RLIMIT_AS counts address space, of which CUDA reserves more than
any machine has, and an allocation refused by RLIMIT_DATA inside a numerical library is a crash without a reason.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from flows.config.settings import Settings
from flows.runtime.gpus import NO_GPUS, HeldGpus
from flows.runtime.grace import TRAINER_SECONDS
from flows.runtime.process_tree import ended_with_parent, signals_held
from gan_models.errors import AtelierError

POLL_SECONDS = 0.25
GIB = 2**30
SHARE_OF_MEMORY = 0.9  # what a process may take of the machine's, or of its container's, where nothing is set
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class ChildFailedError(AtelierError):
    """The process did not end well; the message is the end of a sentence that begins with what it was."""


@dataclass(frozen=True)
class Limits:
    """What a process may use, and for a person what to do where that is too little.

    memory: bytes, of it and its children together
    """

    memory: int
    seconds: float
    less_memory: str
    less_time: str


def training_limits(settings: Settings) -> Limits:
    """Return those of the environment; without them, most of this machine's memory and all the time it takes."""
    return Limits(
        _memory(settings.training_memory_gib),
        float("inf") if settings.training_minutes is None else settings.training_minutes * 60,
        less_memory="lower train.batch_size, or raise ATELIER_TRAINING_MEMORY_GIB",
        less_time="run again to resume it, or raise ATELIER_TRAINING_MINUTES",
    )


def evaluation_limits(settings: Settings) -> Limits:
    """Return those of the environment; without them, most of this machine's memory and four hours."""
    return Limits(
        _memory(settings.evaluation_memory_gib),
        settings.evaluation_minutes * 60,
        less_memory="lower evaluate.batch_size or evaluate.num_images, or raise ATELIER_EVALUATION_MEMORY_GIB",
        less_time="lower evaluate.num_images, or raise ATELIER_EVALUATION_MINUTES",
    )


def run_supervised(
    arguments: Sequence[str],
    log: Path,
    limits: Limits,
    lock: int,
    watch: Callable[[], None] = lambda: None,
    *,
    gpus: HeldGpus = NO_GPUS,
    grace_seconds: float = TRAINER_SECONDS,
) -> int:
    """Run `python <arguments>` to its end, in a session of its own: Ctrl-C is for this process, which passes it on.

    Should this process be killed, that one is sent SIGTERM (on Linux), so that it writes a checkpoint.

    Args:
        log: takes what the process prints, after what earlier ones have printed.
        lock: the descriptor of a lock that the process inherits: should this one die, the next attempt waits for it.
        watch: called now and then while the process lives. Whatever it raises ends the process too.
        gpus: that it computes on, and inherits the locks of.
        grace_seconds: between asking it to end and killing it.

    Returns:
        Its exit code; negative where it was killed by a signal.

    Raises:
        ChildFailedError: it exceeded a limit. It and its children are gone then.
    """
    child, end = None, time.monotonic() + limits.seconds
    try:
        with signals_held(), log.open("ab") as stream:
            child = psutil.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                pass_fds=[lock, *gpus.locks],
                start_new_session=True,
                preexec_fn=ended_with_parent(),
                env={**os.environ, **gpus.environment, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"},
            )
        _be_killed_first(child.pid)
        while child.poll() is None:
            if _memory_of(child) > limits.memory:
                grace_seconds = 0.0  # it would take more meanwhile
                raise ChildFailedError(
                    f"needed more than the {limits.memory / GIB:.3g} GiB of memory it may use and was stopped; "
                    f"{limits.less_memory}"
                )
            if time.monotonic() > end:
                raise ChildFailedError(
                    f"took longer than the {limits.seconds / 60:.3g} minutes it may take and was stopped; "
                    f"{limits.less_time}"
                )
            watch()
            time.sleep(POLL_SECONDS)
    finally:
        if child is not None:
            _end(child, grace_seconds)
    return int(child.returncode)


def cause_of(code: int, log: Path, *, again: str) -> str:
    """Return why a process ended with a code other than 0: the end of a sentence that begins with what it was.

    Args:
        again: what a person does after it was killed.
    """
    if code == -signal.SIGKILL:
        return f"was killed by SIGKILL, as the kernel does where memory runs out; {again} ({log})"
    if code < 0:
        return f"crashed or was ended by {signal.Signals(-code).name}; {again}, and where it was is in {log}"
    lines = log.read_text(errors="replace").strip().splitlines()
    if not lines:
        return f"failed with code {code} and left no message"
    return f"failed: {lines[-1].removeprefix('error: ')}" + ("" if code == 2 else f" (all of it in {log})")


def _memory_of(child: psutil.Process) -> int:
    """Return the bytes that a process and its children hold, without files that are only mapped."""
    used = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in (child, *child.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                memory = process.memory_info()
                used += memory.rss - getattr(memory, "shared", 0)
    return used


def _memory(gib: float | None) -> int:
    return int(SHARE_OF_MEMORY * _memory_here()) if gib is None else int(gib * GIB)


def _memory_here() -> int:
    whole = int(psutil.virtual_memory().total)
    with contextlib.suppress(OSError, ValueError):  # no cgroup, or "max"
        whole = min(whole, int(CGROUP_LIMIT.read_text()))
    return whole


def _be_killed_first(pid: int) -> None:
    """Let the kernel, where it runs out of memory, end this process and not the flow or a server next to it."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")


def _end(child: psutil.Popen, grace_seconds: float) -> None:
    """Ask a process that still runs to end, wait for it, and kill what is left of it and its children."""
    left = []
    with contextlib.suppress(psutil.NoSuchProcess):
        left = child.children(recursive=True)
    if child.poll() is None and grace_seconds:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.terminate()
        with contextlib.suppress(psutil.TimeoutExpired):
            child.wait(grace_seconds)
    for process in (child, *left):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    child.wait()
    psutil.wait_procs(left, timeout=10)
