"""Decoding in processes of their own: a file that crashes, hangs or swells costs that file, and nothing else."""

import atexit
import os
import shlex
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from queue import LifoQueue
from types import TracebackType
from typing import Any, Protocol, TypeVar

from gan_models.errors import AtelierError
from gan_models.ingest.decode_worker import from_frame, read_frame, write_frame
from gan_models.ingest.decoding import UnreadableImageError
from gan_models.ingest.file_check import Demands, Examined
from gan_models.ingest.room import Room

MAX_PIXELS_AT_ONCE = 100_000_000  # decoded by all workers together, at about 8 bytes each
MAX_BYTES_AT_ONCE = 256 << 20  # of files that were read and wait to be decoded
FILES_TOGETHER = 16  # that a worker is handed at once: to hand one over costs as much as to decode a small one
BYTES_TOGETHER = 256 << 10
_ROOT = Path(__file__).parents[2]


class ReadableFile(Protocol):
    """A file as a source knows it.

    size: in bytes, 0 where that is not known before it is read
    is_mask: whether it says in each pixel what is there, so that its values are kept as they are
    """

    @property
    def size(self) -> int:
        """Return its bytes' number, or 0."""
        ...

    @property
    def is_mask(self) -> bool:
        """Return whether its values are classes."""
        ...

    @property
    def read(self) -> Callable[[], bytes]:
        """Return what reads its bytes; it raises UnreadableImageError where they cannot be had."""
        ...


AnyFile = TypeVar("AnyFile", bound=ReadableFile)


class DecodingWorkers:
    """As many processes as there are processors, started when they are needed; a context.

    Memory is bounded whatever the files are: files wait to be read, and images to be decoded, until there is room.
    """

    def __init__(self, demands: Demands, *, num_workers: int | None = None, num_readers: int = 8) -> None:
        self._demands = demands
        self._num_workers = num_workers or len(os.sched_getaffinity(0))
        self._readers = ThreadPoolExecutor(max(num_readers, self._num_workers))
        self._idle: LifoQueue[_Worker | None] = LifoQueue()  # One that is running is taken before one that is not.
        for _ in range(self._num_workers):
            self._idle.put(_take_spare(demands.limits.max_memory))
        self._pixels, self._bytes = Room(MAX_PIXELS_AT_ONCE), Room(MAX_BYTES_AT_ONCE)
        self._deadlines: dict[_Worker, float] = {}
        self._ending = threading.Lock()  # Held to end a worker, or to say that it is done: none is ended afterwards.
        self._closed = threading.Event()
        threading.Thread(target=self._end_what_takes_too_long, daemon=True).start()

    def __enter__(self) -> "DecodingWorkers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closed.set()
        with self._ending:
            for worker in list(self._deadlines) if error else []:
                worker.kill()
        self._readers.shutdown(cancel_futures=True)
        while not self._idle.empty():
            idle = self._idle.get()
            if idle:
                _spare.append(idle)

    def examine(
        self, files: Iterable[AnyFile], recall: Callable[[AnyFile], Examined | None] = lambda file: None
    ) -> Iterator[Examined]:
        """Yield what becomes of each file, in their order; a few are read ahead.

        Args:
            files: any number of them.
            recall: what became of a file, where that is known without reading it.

        Raises:
            Exception: whatever reading a file raises but an UnreadableImageError, which is the reason for that file.
        """
        under_way: deque[Future[list[Examined]]] = deque()
        try:
            for batch in _batches(files, recall):
                under_way.append(self._readers.submit(self._examine, batch))
                if len(under_way) >= 4 * self._num_workers + 8:
                    yield from under_way.popleft().result()
            while under_way:
                yield from under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()

    def _examine(self, batch: "list[tuple[AnyFile, Examined | None]]") -> list[Examined]:
        with self._bytes.hold(sum(file.size for file, remembered in batch if remembered is None)):
            found = [remembered or _read(file) for file, remembered in batch]
            masks = [file.is_mask for (file, _), one in zip(batch, found, strict=True) if isinstance(one, bytes)]
            decoded = self._decode([one for one in found if isinstance(one, bytes)], masks)
            return [next(decoded) if isinstance(one, bytes) else one for one in found]

    def _decode(self, files: list[bytes], masks: list[bool]) -> Iterator[Examined]:
        """Yield what becomes of each; after one that a worker does not survive, another worker goes on."""
        done = 0
        while done < len(files):
            worker = self._idle.get()
            try:
                worker = worker or _Worker(self._demands.limits.max_memory)
                try:
                    for examined in self._ask(worker, files[done:], masks[done:]):
                        yield replace(examined, rejected=files[done]) if examined.reason else examined
                        done += 1
                except (EOFError, OSError, ValueError) as error:
                    reason, worker = self._why_it_ended(worker, error), None
                    yield Examined(reason=reason, rejected=files[done])
                    done += 1
            finally:
                if worker and worker.was_killed:  # It was too late with its last answer.
                    worker.end()
                    worker = None
                self._idle.put(worker)

    def _ask(self, worker: "_Worker", files: list[bytes], masks: list[bool]) -> Iterator[Examined]:
        seconds = self._demands.limits.max_seconds
        head: dict[str, Any] = {"lengths": [len(data) for data in files], "masks": masks}
        try:
            self._deadlines[worker] = time.monotonic() + seconds
            worker.send(b"".join(files), {**asdict(self._demands), **head})
            for _ in files:
                self._deadlines[worker] = time.monotonic() + seconds
                head, body = worker.receive()
                if "pixels" in head:
                    with self._ending:
                        del self._deadlines[worker]  # Waiting for others is not its fault.
                    with self._pixels.hold(int(str(head["pixels"]))):
                        self._deadlines[worker] = time.monotonic() + seconds
                        worker.send()
                        head, body = worker.receive()
                yield from_frame(head, body)
        finally:
            with self._ending:
                self._deadlines.pop(worker, None)

    def _why_it_ended(self, worker: "_Worker", error: Exception) -> str:
        late = worker.was_late
        code = worker.end()
        if late:
            return f"decoding it takes more than {self._demands.limits.max_seconds:g} seconds"
        if isinstance(error, ValueError):
            return "the decoder gave no sensible answer"
        return f"the decoder died of it ({f'signal {-code}' if code < 0 else f'exit code {code}'})"

    def _end_what_takes_too_long(self) -> None:
        while not self._closed.wait(0.2):
            with self._ending:
                for worker, deadline in list(self._deadlines.items()):
                    if time.monotonic() > deadline:
                        worker.was_late = True
                        worker.kill()


_spare: list["_Worker"] = []  # Left by those who are done, for those who come: starting one takes most of a second.


def _take_spare(max_memory: int) -> "_Worker | None":
    for worker in _spare:
        if worker.max_memory == max_memory:
            _spare.remove(worker)
            return worker
    return None


@atexit.register
def _end_spare() -> None:
    for worker in _spare:
        worker.end()


def _batches(
    files: Iterable[AnyFile], recall: Callable[[AnyFile], Examined | None]
) -> Iterator[list[tuple[AnyFile, Examined | None]]]:
    """Yield small files together, with what is known of them; a large one, or one of unknown size, alone."""
    batch: list[tuple[AnyFile, Examined | None]] = []
    size = 0
    for file in files:
        remembered = recall(file)
        cost = 0 if remembered else file.size or BYTES_TOGETHER
        if batch and (len(batch) == FILES_TOGETHER or size + cost > BYTES_TOGETHER):
            yield batch
            batch, size = [], 0
        batch.append((file, remembered))
        size += cost
    if batch:
        yield batch


def _read(file: ReadableFile) -> bytes | Examined:
    try:
        return file.read()
    except UnreadableImageError as error:
        return Examined(reason=str(error))


class DecodingWorkerError(AtelierError):
    """A process that decodes images could not be started; the message says how to see why."""


class _Worker:
    """One process."""

    def __init__(self, max_memory: int) -> None:
        self.was_late = self.was_killed = False
        self.max_memory = max_memory
        paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gan_models.ingest.decode_worker", str(max_memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C would kill it, and the file it has in hand would be blamed for that.
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout
        try:
            self.receive()
        except EOFError:
            raise DecodingWorkerError(
                "a decoding worker did not start; see why with "
                f"`{shlex.quote(sys.executable)} -m gan_models.ingest.decode_worker {max_memory}`"
            ) from None

    def send(self, data: bytes = b"", head: dict[str, Any] | None = None) -> None:
        write_frame(self._in, head or {}, data)

    def receive(self) -> tuple[dict[str, object], bytes]:
        return read_frame(self._out)

    def kill(self) -> None:
        self.was_killed = True
        self._process.kill()

    def end(self) -> int:
        """End the process, and return its exit code."""
        with suppress(OSError):
            self._in.close()
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._out.close()
        return code
