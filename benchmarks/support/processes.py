"""Running a program and measuring it with all that it starts: time, CPU time, memory."""

import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import psutil

SECONDS_BETWEEN_LOOKS = 0.5  # adding up shared pages takes some hundredths


@dataclass(frozen=True)
class Measured:
    """seconds: on the wall; cpu_seconds: of the program and all its children that ended; peak_bytes: of memory, the
    resident memory of all of them together, at the moment it was largest; output: what it printed.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def run_measured(program: list[str], folder: Path, environment: dict[str, str]) -> Measured:
    """Run a program to its end.

    Raises:
        RuntimeError: it failed.
    """
    began = monotonic()
    process = subprocess.Popen(
        program, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    peak, cpu = 0, 0.0
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak, cpu
        seen: dict[int, float] = {}
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            together = 0
            try:
                top = psutil.Process(process.pid)
                family = [top, *top.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            for member in family:
                try:
                    memory, times = member.memory_full_info(), member.cpu_times()
                except psutil.Error:
                    continue
                together += memory.pss  # what processes share counts once
                seen[member.pid] = times.user + times.system
            peak, cpu = max(peak, together), sum(seen.values())

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, errors = process.communicate()
    ended.set()
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(program)} failed: {errors[-2000:]}")
    return Measured(monotonic() - began, cpu, peak, output)
