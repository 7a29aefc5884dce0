"""Decoding in processes of their own: what is stated of a file, and what files that crash, hang or swell cost."""

import io
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import psutil
import pytest
from PIL import Image

from gan_models.ingest import decode_pool
from gan_models.ingest.decode_pool import DecodingWorkers
from gan_models.ingest.decoding import DecodingLimits, UnreadableImageError, decode, image_id
from gan_models.ingest.file_check import Demands, examine
from gan_models.ingest.room import Room

DEMANDS = Demands(DecodingLimits(min_side=1))


@dataclass
class File:
    content: bytes | Exception
    size: int = 0
    is_mask: bool = False

    def read(self):
        if isinstance(self.content, Exception):
            raise self.content
        return self.content


def png(seed=0, size=(40, 30)):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def huge(mode):
    buffer = io.BytesIO()
    Image.new(mode, (6000, 5000)).save(buffer, "PNG")
    return buffer.getvalue()


def run(files, demands=DEMANDS, **options):
    with DecodingWorkers(demands, **options) as workers:
        return list(workers.examine(files))


def test_workers_find_what_would_be_found_here_and_in_order():
    data = [png(seed) for seed in range(30)]
    demands = Demands(DecodingLimits(), tile=16)
    assert run([File(one) for one in data], demands, num_workers=2) == [examine(one, demands) for one in data]


def test_a_file_that_is_not_used_comes_back_with_its_reason_and_its_bytes():
    empty, text, unread = run([File(b""), File(b"hello"), File(UnreadableImageError("it is gone"))])
    assert (empty.reason, text.rejected, unread.reason) == ("the file is empty", b"hello", "it is gone")
    assert "not an image" in text.reason


def test_a_file_that_takes_too_much_memory_costs_that_file_alone():
    demands = Demands(DecodingLimits(max_memory=200 << 20))
    gray, color, after = run([File(huge("L")), File(huge("RGBA")), File(png())], demands, num_workers=1)
    assert color.reason == "decoding it takes more than 200 MiB of memory"
    assert not gray.reason
    assert not after.reason


def workers_running():
    """The processes that decode for this one, at work or not."""
    mine = psutil.Process().children()
    return {child for child in mine if "gan_models.ingest.decode_worker" in child.cmdline()}


@contextmanager
def one_worker(max_memory, **limits):
    """Yield workers of which there is one, and its process; no other test has this limit of memory, nor its worker."""
    before = workers_running()
    with DecodingWorkers(
        Demands(DecodingLimits(min_side=1, max_memory=max_memory, **limits)), num_workers=1
    ) as workers:
        list(workers.examine([File(png())]))  # it is running now
        (process,) = workers_running() - before
        yield workers, process


@contextmanager
def signaled_within_a_large_image(process, number):
    """Send a signal to a worker when it has taken the memory of a large image, and so is decoding it."""
    before, is_over = process.memory_info().rss, threading.Event()

    def watch():
        while not is_over.is_set():
            if process.memory_info().rss > before + (30 << 20):
                process.send_signal(number)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield
    is_over.set()
    watcher.join()


def test_a_file_that_takes_too_long_costs_that_file_alone():
    with (
        one_worker(1001 << 20, max_seconds=0.5) as (workers, process),
        signaled_within_a_large_image(process, signal.SIGSTOP),  # as a decoder that never ends: it says nothing
    ):
        late, after = list(workers.examine([File(huge("RGB")), File(png())]))
    assert late.reason == "decoding it takes more than 0.5 seconds"
    assert after.id == image_id(decode(png()))


def test_a_worker_that_dies_costs_the_file_it_died_of_alone():
    with (
        one_worker(1002 << 20) as (workers, process),
        signaled_within_a_large_image(process, signal.SIGSEGV),
    ):
        dead, after = list(workers.examine([File(huge("RGB")), File(png())]))
    assert dead.reason == "the decoder died of it (signal 11)"
    assert not after.reason


def test_what_reading_raises_ends_the_whole(monkeypatch):
    with pytest.raises(ConnectionError, match="the network is down"):
        run([File(png()), File(ConnectionError("the network is down")), File(png())])


def test_large_images_wait_for_one_another(monkeypatch):
    monkeypatch.setattr(decode_pool, "MAX_PIXELS_AT_ONCE", 40_000_000)
    held, at_once = [0], [0]
    hold = Room.hold

    @contextmanager
    def counted(self, amount):
        with hold(self, amount):
            held[0] += amount > 0  # pixels: the size of these files is not known before
            at_once[0] = max(at_once[0], held[0])
            yield
            held[0] -= amount > 0

    monkeypatch.setattr(Room, "hold", counted)
    with DecodingWorkers(DEMANDS, num_workers=2) as workers:
        found = list(workers.examine([File(huge("L")) for _ in range(4)]))  # of 30 million pixels each
    assert [one.reason for one in found] == [""] * 4
    assert at_once == [1]


def test_small_files_are_handed_over_together_and_each_gets_its_own_answer():
    data = [png(1), b"no image", png(2), b"", png(3)] * 8
    found = run([File(one, size=len(one)) for one in data], num_workers=1)
    assert [bool(one.reason) for one in found] == [False, True, False, True, False] * 8
    assert [one.id for one in found[::5]] == [image_id(decode(png(1)))] * 8
    assert found[1].rejected == b"no image"


def test_of_files_handed_over_together_one_that_kills_the_worker_costs_itself_alone():
    files = [png(0), png(1), huge("RGB"), png(2), png(3)]
    with (
        one_worker(1003 << 20) as (workers, process),
        signaled_within_a_large_image(process, signal.SIGSEGV),
    ):
        found = list(workers.examine([File(one, size=1) for one in files]))
    assert [one.reason for one in found] == ["", "", "the decoder died of it (signal 11)", "", ""]
    assert [one.id for one in found[3:]] == [image_id(decode(png(seed))) for seed in (2, 3)]


def test_files_that_are_remembered_are_not_read():
    before = examine(png(1), DEMANDS)
    files = [File(png(0)), File(AssertionError("it was read")), File(png(2))]
    with DecodingWorkers(DEMANDS) as workers:
        found = list(workers.examine(files, lambda file: before if file is files[1] else None))
    assert [one.id for one in found] == [examine(png(seed), DEMANDS).id for seed in range(3)]


def test_workers_are_used_again():
    run([File(png())], num_workers=1)
    first = workers_running()
    run([File(png())], num_workers=1)
    assert first == workers_running()


def test_no_worker_outlives_the_process_that_started_it():
    code = (
        "import os, signal\n"
        "from tests.unit.gan_models.ingest import test_decode_pool as t\n"
        "with t.DecodingWorkers(t.DEMANDS, num_workers=1) as workers:\n"
        "    list(workers.examine([t.File(t.png())]))\n"
        "    (worker,) = t.workers_running()\n"
        "    print(worker.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    pid = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout)
    for _ in range(100):
        try:
            with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
        except FileNotFoundError:
            return
        time.sleep(0.1)
    raise AssertionError("the worker is still there")
