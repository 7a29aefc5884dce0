"""The evaluation in a process of its own, under a limit of memory and of time; whatever ends it is one clear sentence.

Memory is watched from here, not limited by the kernel: RLIMIT_AS counts address space, of which CUDA reserves more than
any machine has, and an allocation refused by RLIMIT_DATA inside a numerical library is a crash without a reason.
"""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from flows.config.settings import Settings
from gan_models.errors import AtelierError

POLL_SECONDS = 0.1
GIB = 2**30
SHARE_OF_MEMORY = 0.9  # what an evaluation may take of the machine's, or of its container's, where nothing is set
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class ChildFailedError(AtelierError):
    """The process did not end well; the message is the end of a sentence that begins with what it was."""


@dataclass(frozen=True)
class Limits:
    """What a process may use. `memory`: bytes, of it and its children together."""

    memory: int
    seconds: float


def limits_of(settings: Settings) -> Limits:
    """Those of the environment; without one, most of this machine's memory."""
    gib = settings.evaluation_memory_gib
    memory = int(SHARE_OF_MEMORY * _memory_here()) if gib is None else int(gib * GIB)
    return Limits(memory, settings.evaluation_minutes * 60)


def run_limited(
    arguments: Sequence[str], log: Path, limits: Limits, lock: int, watch: Callable[[], None] = lambda: None
) -> None:
    """Run `python <arguments>` to its end.

    Args:
        log: takes what the process prints.
        lock: the descriptor of a lock that the process inherits: should this one die, the next attempt waits for it.
        watch: called now and then while the process lives.

    Raises:
        ChildFailedError: it exceeded a limit, was killed, crashed or failed. It and its children are gone then.
    """
    command = [sys.executable, "-X", "faulthandler", *arguments]
    with log.open("wb") as stream:
        child = psutil.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, pass_fds=[lock])
    _be_killed_first(child.pid)
    end = time.monotonic() + limits.seconds
    try:
        while child.poll() is None:
            used = _memory_of(child)
            if used > limits.memory:
                raise ChildFailedError(
                    f"needed more than the {limits.memory / GIB:.3g} GiB of memory it may use and was stopped; lower "
                    "evaluate.batch_size or evaluate.num_images, or raise ATELIER_EVALUATION_MEMORY_GIB"
                )
            if time.monotonic() > end:
                raise ChildFailedError(
                    f"took longer than the {limits.seconds / 60:.3g} minutes it may take and was stopped; lower "
                    "evaluate.num_images, or raise ATELIER_EVALUATION_MINUTES"
                )
            watch()
            time.sleep(POLL_SECONDS)
    finally:
        _end(child)
    if child.returncode:
        raise ChildFailedError(_cause(child.returncode, log))


def _memory_of(child: psutil.Process) -> int:
    """Bytes that a process and its children hold, without files that are only mapped."""
    used = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in (child, *child.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                memory = process.memory_info()
                used += memory.rss - getattr(memory, "shared", 0)
    return used


def _memory_here() -> int:
    whole = int(psutil.virtual_memory().total)
    with contextlib.suppress(OSError, ValueError):  # no cgroup, or "max"
        whole = min(whole, int(CGROUP_LIMIT.read_text()))
    return whole


def _be_killed_first(pid: int) -> None:
    """Where the kernel runs out of memory it should end the evaluation, not the flow or a server beside it."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")


def _end(child: psutil.Popen) -> None:
    left = []
    with contextlib.suppress(psutil.NoSuchProcess):
        left = child.children(recursive=True)
    for process in (child, *left):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    child.wait()
    psutil.wait_procs(left, timeout=10)


def _cause(code: int, log: Path) -> str:
    if code == -signal.SIGKILL:
        return f"was killed (SIGKILL), as the kernel does where memory runs out; run it again to measure anew ({log})"
    if code < 0:
        name = signal.Signals(-code).name
        return f"crashed or was ended ({name}); where it was is in {log}, and running it again measures anew"
    lines = log.read_text(errors="replace").strip().splitlines()
    if not lines:
        return f"failed with code {code} and left no message"
    return f"failed: {lines[-1].removeprefix('error: ')}" + ("" if code == 2 else f" (all of it in {log})")
