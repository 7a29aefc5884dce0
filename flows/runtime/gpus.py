"""The GPUs of this machine, each held by one training or evaluation at a time, of whatever project and worker.

A GPU is held by the lock of a file, which the kernel frees when the last process that has it open is gone. Who waits
for several keeps what it has got so far, and only one waits for GPUs at a time, the others for their turn: so none
waits for ever while others take them singly, and no two wait for each other.
"""

import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

LISTING = ("nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader")
LISTING_SECONDS = 60.0  # a driver that nothing keeps loaded takes some
POLL_SECONDS = 0.5
VISIBLE = "CUDA_VISIBLE_DEVICES"
TURN = "turn"  # the file whose lock is the turn to wait for GPUs


@dataclass(frozen=True)
class HeldGpus:
    """What a child process computes on.

    uuids: of the GPUs that are held for it; none where it computes on the processor
    locks: descriptors that it inherits: should this process die, it goes on to hold them
    environment: lets it see these GPUs and no others; empty where the machine has none
    """

    uuids: tuple[str, ...] = ()
    locks: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


NO_GPUS = HeldGpus()


def gpus_here() -> tuple[str, ...]:
    """Return the UUIDs of the GPUs that this process may use; none where the machine has no driver that answers.

    `CUDA_VISIBLE_DEVICES` chooses among them, by UUID or by number as `nvidia-smi` counts.
    """
    try:
        listed = subprocess.run(LISTING, capture_output=True, text=True, timeout=LISTING_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    gpus = tuple(listed.stdout.split())
    chosen = os.environ.get(VISIBLE)
    return gpus if chosen is None else tuple(_chosen(gpus, chosen))


@contextmanager
def hold_gpus(folder: Path, number: int, tell: Callable[[str], None]) -> Iterator[HeldGpus]:
    """Hold GPUs for a child process, once so many are free; all there are, where the machine has fewer.

    Args:
        folder: of the locks, the same for all who share the GPUs.
        number: of GPUs.
        tell: called with what a person should know: that there are fewer, or that they are waited for.

    Yields:
        The GPUs; none where the machine has none.
    """
    here = gpus_here()
    if 0 < len(here) < number:
        tell(f"{number} GPUs are asked for, and there are {len(here)} here")
    number = min(number, len(here))
    held: dict[str, int] = {}
    try:
        if not _take(folder, here, number, held):
            tell(f"waiting for {number} of the {len(here)} GPUs here")
            _wait(folder, here, number, held)
        yield _as_held(here, held)
    finally:
        _free(held)


@contextmanager
def hold_free_gpu(folder: Path) -> Iterator[HeldGpus]:
    """Hold a GPU for a child process if one is free at once, and nobody waits for it; none otherwise.

    Args:
        folder: as for `hold_gpus`.
    """
    here = gpus_here()
    held: dict[str, int] = {}
    try:
        _take(folder, here, 1, held)
        yield _as_held(here, held)
    finally:
        _free(held)


def _take(folder: Path, here: tuple[str, ...], number: int, held: dict[str, int]) -> bool:
    """Hold so many GPUs if they are free now and nobody waits for any; return whether it does."""
    turn = _lock(folder, TURN) if here else None
    if turn is not None:
        try:
            _add_free(folder, here, number, held)
        finally:
            os.close(turn)
        if len(held) < number:
            _free(held)
    return len(held) == number


def _wait(folder: Path, here: tuple[str, ...], number: int, held: dict[str, int]) -> None:
    while (turn := _lock(folder, TURN)) is None:
        time.sleep(POLL_SECONDS)
    try:
        while len(held) < number:
            _add_free(folder, here, number, held)
            if len(held) < number:
                time.sleep(POLL_SECONDS)
    finally:
        os.close(turn)


def _add_free(folder: Path, here: tuple[str, ...], number: int, held: dict[str, int]) -> None:
    for gpu in here:
        if len(held) < number and gpu not in held and (lock := _lock(folder, gpu)) is not None:
            held[gpu] = lock


def _free(held: dict[str, int]) -> None:
    while held:
        os.close(held.popitem()[1])


def _as_held(here: tuple[str, ...], held: dict[str, int]) -> HeldGpus:
    environment = {VISIBLE: ",".join(held)} if here else {}
    return HeldGpus(tuple(held), tuple(held.values()), environment)


def _chosen(gpus: tuple[str, ...], chosen: str) -> Iterator[str]:
    """Yield the GPUs of a list in `CUDA_VISIBLE_DEVICES`, which ends for CUDA where it names one that is not there."""
    for name in map(str.strip, chosen.split(",")):
        if name.isdecimal() and int(name) < len(gpus):
            yield gpus[int(name)]
        elif name.startswith("MIG-"):  # a part of a GPU, which is a device of its own
            yield name
        elif name.startswith("GPU-") and (found := [gpu for gpu in gpus if gpu.startswith(name)]):
            yield found[0]
        else:
            return


def _lock(folder: Path, name: str) -> int | None:
    """Return the descriptor of a lock, or None where another has it. Other users may have made the file."""
    with suppress(FileExistsError):
        folder.mkdir(parents=True)
        folder.chmod(0o1777)
    file = folder / name.replace("/", "_")
    with suppress(FileExistsError):
        made = os.open(file, os.O_CREAT | os.O_EXCL, 0o644)
        os.fchmod(made, 0o644)  # whatever the umask: another user's training has to open it
        os.close(made)
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
