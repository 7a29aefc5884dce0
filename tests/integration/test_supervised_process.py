"""A child process and its ends: each is really brought about, and each is one sentence that says what to do."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows.config.settings import Settings
from flows.runtime.supervised_process import (
    GIB,
    ChildFailedError,
    Limits,
    cause_of,
    evaluation_limits,
    run_supervised,
    training_limits,
)

REMEDIES = ("lower what it needs", "give it more time")
PLENTY = Limits(64 * GIB, 600, *REMEDIES)
LITTLE = Limits(200 * 2**20, 600, *REMEDIES)
STUBBORN = (
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\n"
    "print('up', flush=True)\n"
    "for _ in range(60): time.sleep(1)"
)


def run(folder: Path, program: str, limits: Limits = PLENTY, watch=lambda: None, grace_seconds: float = 30) -> int:
    with (folder / "lock").open("w") as lock:
        return run_supervised(
            ["-c", program], folder / "log", limits, lock.fileno(), watch, grace_seconds=grace_seconds
        )


def over_limit(folder: Path, program: str, limits: Limits, grace_seconds: float = 30) -> str:
    with pytest.raises(ChildFailedError) as failed:
        run(folder, program, limits, grace_seconds=grace_seconds)
    return str(failed.value)


def end_of(folder: Path, program: str) -> str:
    (folder / "log").unlink(missing_ok=True)
    return cause_of(run(folder, program), folder / "log", again="run it again")


def test_a_process_that_ends_well_is_watched_and_leaves_its_words_in_the_log(tmp_path: Path):
    seen = []
    assert run(tmp_path, "import time; print('measured'); time.sleep(0.5)", watch=lambda: seen.append(1)) == 0
    assert seen
    assert (tmp_path / "log").read_text() == "measured\n"


def test_a_process_that_needs_too_much_memory_is_ended(tmp_path: Path):
    greedy = "import time; kept = bytearray(400 * 2**20); kept[::4096] = b'x' * len(kept[::4096]); time.sleep(60)"
    message = over_limit(tmp_path, greedy, LITTLE)
    assert message.startswith("needed more than the 0.195 GiB of memory it may use and was stopped")
    assert message.endswith("; lower what it needs")


def test_the_memory_of_its_children_counts_and_they_end_with_it(tmp_path: Path):
    greedy = "import time; kept = b'x' * (400 * 2**20); time.sleep(60)"
    parent = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {greedy!r}]).pid, flush=True); "
    message = over_limit(tmp_path, f"{parent}import time; time.sleep(60)", LITTLE)
    assert "needed more than" in message
    child = int((tmp_path / "log").read_text())
    gone = not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    assert gone


def test_files_that_are_only_mapped_do_not_count(tmp_path: Path):
    (tmp_path / "large").write_bytes(bytes(300 * 2**20))
    program = (
        "import mmap, time; file = open('large', 'rb'); "
        "kept = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ); sum(kept[::4096]); time.sleep(1)"
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path)
        assert run(tmp_path, program, LITTLE) == 0


def test_a_process_that_takes_too_long_is_ended(tmp_path: Path):
    message = over_limit(tmp_path, "import time; time.sleep(60)", Limits(64 * GIB, 0.6, *REMEDIES))
    assert message.startswith("took longer than the 0.01 minutes it may take and was stopped")
    assert message.endswith("; give it more time")


def test_a_process_is_asked_to_end_and_given_time_for_it(tmp_path: Path):
    program = (
        "import signal, sys, time\n"
        "def end(*_): print('wrote a checkpoint', flush=True); sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('up', flush=True); time.sleep(60)"
    )
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, program, watch=lambda: interrupt_when(tmp_path / "log", "up"))
    assert (tmp_path / "log").read_text() == "up\nwrote a checkpoint\n"


def test_a_process_that_does_not_end_when_it_is_asked_to_is_killed(tmp_path: Path):
    before = set(psutil.Process().children())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, STUBBORN, watch=lambda: interrupt_when(tmp_path / "log", "up"), grace_seconds=0.5)
    assert (tmp_path / "log").read_text() == "up\nasked\n"
    assert set(psutil.Process().children()) <= before


def interrupt_when(log: Path, says: str) -> None:
    """Interrupt the flow, as Ctrl-C does, once its child is as far as that."""
    if says in log.read_text():
        raise KeyboardInterrupt


def wait_for_words(log: Path, words: str) -> None:
    while not log.exists() or not log.read_text().startswith(words):
        time.sleep(0.05)


def test_a_process_that_the_kernel_kills_is_told_as_such(tmp_path: Path):
    message = end_of(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert message.startswith("was killed by SIGKILL, as the kernel does where memory runs out")


def test_a_crash_in_native_code_leaves_where_it_was_in_the_log(tmp_path: Path):
    message = end_of(tmp_path, "import ctypes; ctypes.string_at(0)")
    assert message.startswith("crashed or was ended by SIGSEGV; run it again")
    assert str(tmp_path / "log") in message
    assert "string_at" in (tmp_path / "log").read_text()


def test_a_refusal_is_its_own_sentence_and_an_exception_its_last_line(tmp_path: Path):
    assert end_of(tmp_path, "import sys; print('error: no bundle'); sys.exit(2)") == "failed: no bundle"
    message = end_of(tmp_path, "raise RuntimeError('the disk is full')")
    assert message == f"failed: RuntimeError: the disk is full (all of it in {tmp_path / 'log'})"
    assert end_of(tmp_path, "import os; os._exit(7)") == "failed with code 7 and left no message"


def test_no_process_is_left_behind_where_the_flow_is_interrupted(tmp_path: Path):
    def interrupt() -> None:
        raise KeyboardInterrupt

    before = set(psutil.Process().children())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "import time; time.sleep(60)", watch=interrupt)
    assert set(psutil.Process().children()) <= before


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's choice of a victim is Linux's")
def test_the_kernel_is_told_to_end_the_measuring_before_the_flow(tmp_path: Path):
    run(tmp_path, "import time; time.sleep(0.3); print(open('/proc/self/oom_score_adj').read().strip())")
    assert (tmp_path / "log").read_text() == "1000\n"


def test_an_orphan_is_asked_to_end_and_holds_the_lock_until_it_does(tmp_path: Path):
    program = (
        "import fcntl, sys\n"
        "from pathlib import Path\n"
        "from flows.runtime.supervised_process import Limits, run_supervised\n"
        "lock = open('lock', 'w')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        f"run_supervised(['-c', {STUBBORN!r}], Path('log'), Limits(2**40, 600, '', ''), lock.fileno())\n"
    )
    flow = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, env={**os.environ})
    assert flow.stdout is not None
    flow.stdout.readline()
    wait_for_words(tmp_path / "log", "up\n")
    (orphan,) = psutil.Process(flow.pid).children()
    flow.kill()
    flow.wait()
    flow.stdout.close()
    wait_for_words(tmp_path / "log", "up\nasked\n")
    try_lock = ["flock", "--nonblock", str(tmp_path / "lock"), "true"]
    assert subprocess.run(try_lock, check=False).returncode != 0
    orphan.send_signal(signal.SIGKILL)
    psutil.wait_procs([orphan], timeout=30)
    assert subprocess.run(try_lock, check=False).returncode == 0


def test_the_limits_are_those_of_the_environment_or_most_of_the_machine(monkeypatch: pytest.MonkeyPatch):
    for here in (training_limits(Settings()), evaluation_limits(Settings())):
        assert 0 < here.memory < psutil.virtual_memory().total
    assert training_limits(Settings()).seconds == float("inf")
    assert evaluation_limits(Settings()).seconds == 240 * 60
    for stage, limits in (("TRAINING", training_limits), ("EVALUATION", evaluation_limits)):
        monkeypatch.setenv(f"ATELIER_{stage}_MEMORY_GIB", "2")
        monkeypatch.setenv(f"ATELIER_{stage}_MINUTES", "5")
        set_to = limits(Settings())
        assert (set_to.memory, set_to.seconds) == (2 * GIB, 300)
        assert f"ATELIER_{stage}_MEMORY_GIB" in set_to.less_memory
        assert f"ATELIER_{stage}_MINUTES" in set_to.less_time
