"""The GPUs of a machine: never two processes on one, none held by the dead, and no one waits in vain."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.worker import runs_at_once
from flows.runtime.gpus import gpus_here, hold_free_gpu, hold_gpus
from tests.support.checked import present
from tests.support.gpus import pretend_gpus

GPUS = ("GPU-0a", "GPU-1b")
# Holds so many GPUs, and makes a folder for each, which fails where another process has it.
HOLD = """
import sys, time
from pathlib import Path
from flows.runtime.gpus import hold_gpus
locks, used = Path(sys.argv[1]), Path(sys.argv[2])
for number in sys.argv[3:]:
    with hold_gpus(locks, int(number), lambda what: print(what, flush=True)) as gpus:
        assert len(gpus.uuids) == int(number)
        for uuid in gpus.uuids:
            (used / uuid).mkdir()
        print("computes", flush=True)
        time.sleep(0.05)
        for uuid in gpus.uuids:
            (used / uuid).rmdir()
"""
# Holds all GPUs, for a process that outlives it.
LEAVE = """
import subprocess, sys, time
from pathlib import Path
from flows.runtime.gpus import hold_gpus
with hold_gpus(Path(sys.argv[1]), 2, print) as gpus:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=0, stdout=subprocess.DEVNULL, pass_fds=gpus.locks)
    print(child.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return pretend_gpus(tmp_path, monkeypatch, *GPUS)


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line_of(process: subprocess.Popen[str]) -> str:
    return present(process.stdout).readline().strip()


def test_processes_never_share_a_gpu_whether_they_ask_for_one_or_for_all(locks: Path, tmp_path: Path):
    used = tmp_path / "used"
    used.mkdir()
    asked = ("112", "21", "121")
    assert [process.wait(300) for process in [start(HOLD, locks, used, *numbers) for numbers in asked]] == [0, 0, 0]


def test_the_gpus_of_a_killed_process_go_to_the_one_that_waits(locks: Path, tmp_path: Path):
    used = tmp_path / "used"
    used.mkdir()
    with hold_gpus(locks, 1, print):
        waits = start(HOLD, locks, used, 2)
        assert line_of(waits) == "waiting for 2 of the 2 GPUs here"
        with hold_free_gpu(locks) as free:
            assert free.environment == {"CUDA_VISIBLE_DEVICES": ""}, "one is free, and waited for"
        waits.kill()
        waits.wait()
    killed = start(LEAVE, locks)
    child = int(line_of(killed))
    waits = start(HOLD, locks, used, 2)
    assert line_of(waits) == "waiting for 2 of the 2 GPUs here"
    killed.kill()
    with pytest.raises(subprocess.TimeoutExpired):
        waits.wait(1)
    assert Path(f"/proc/{child}").exists(), "what it started still computes"
    present(killed.stdin).close()
    assert line_of(waits) == "computes"
    assert waits.wait(300) == 0


def test_an_evaluation_takes_a_gpu_that_is_free_and_computes_on_the_processor_where_none_is(locks: Path):
    with hold_free_gpu(locks) as first, hold_free_gpu(locks) as second, hold_free_gpu(locks) as third:
        assert {*first.uuids, *second.uuids} == set(GPUS)
        assert first.environment == {"CUDA_VISIBLE_DEVICES": first.uuids[0]}
        assert third.uuids == ()
        assert third.environment == {"CUDA_VISIBLE_DEVICES": ""}


def test_more_than_there_are_is_all_there_are_and_told(locks: Path):
    told: list[str] = []
    with hold_gpus(locks, 4, told.append) as gpus:
        assert gpus.environment == {"CUDA_VISIBLE_DEVICES": "GPU-0a,GPU-1b"}
    assert told == ["4 GPUs are asked for, and there are 2 here"]


@pytest.mark.parametrize(
    ("visible", "here"),
    [
        ("1", ("GPU-1b",)),
        ("1,0", ("GPU-1b", "GPU-0a")),
        ("GPU-1", ("GPU-1b",)),
        ("MIG-3f", ("MIG-3f",)),
        ("", ()),
        ("-1", ()),
        ("0,7,1", ("GPU-0a",)),
    ],
)
@pytest.mark.usefixtures("locks")
def test_a_worker_computes_on_the_gpus_that_it_was_given(monkeypatch: pytest.MonkeyPatch, visible: str, here: object):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus_here() == here


def test_a_machine_without_gpus_leaves_the_environment_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", os.devnull)
    with hold_gpus(tmp_path / "locks", 2, print) as several, hold_free_gpu(tmp_path / "locks") as one:
        assert not several.environment
        assert not one.environment
    assert not (tmp_path / "locks").exists()
    assert (runs_at_once("gpu"), runs_at_once("cpu")) == (1, None)


@pytest.mark.usefixtures("locks")
def test_a_worker_takes_up_a_training_for_each_gpu_of_its_machine():
    assert (runs_at_once("gpu"), runs_at_once("cpu")) == (len(GPUS), None)
