"""Servers and workers of `atelier up` that die: started again, never given up, and nothing of them left behind."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows.cli import child_process
from flows.cli.child_process import ChildProcess, stop

PATIENCE_SECONDS = 60
FOREVER = "import time\nwhile True: time.sleep(1)"
# Its child is in a session of its own, as a flow run is, and says when it is asked to end.
WITH_A_CHILD = f"""
import signal, subprocess, sys, time
child = '''
import signal, sys, time
def end(*_):
    print('asked', flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
print('up', flush=True)
while True: time.sleep(1)
'''
subprocess.Popen([sys.executable, '-c', child], start_new_session=True)
{FOREVER}
"""


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ChildProcess]]:
    """Children that are ended with the test, and rest for a moment only before they are started again."""
    monkeypatch.setattr(child_process, "FIRST_REST", 0.01)
    monkeypatch.setattr(child_process, "LONGEST_REST", 0.04)
    children: list[ChildProcess] = []
    yield children
    stop(children, 0)


def start(started: list[ChildProcess], folder: Path, program: str) -> ChildProcess:
    child = ChildProcess("worker", [sys.executable, "-c", program], folder / "log", folder, {})
    started.append(child)
    return child


def tend_until(child: ChildProcess, said: list[str], words: str) -> None:
    for _ in range(PATIENCE_SECONDS * 20):
        child.tend(said.append)
        if words in "\n".join(said):
            return
        time.sleep(0.05)
    pytest.fail(f"it never said: {words}; it said {said}")


def wait_for_words(folder: Path, words: str) -> None:
    for _ in range(PATIENCE_SECONDS * 20):
        if words in (folder / "log").read_text():
            return
        time.sleep(0.05)
    pytest.fail(f"it never wrote: {words}")


def test_a_worker_that_is_killed_is_started_again_once_what_it_ran_has_ended(
    tmp_path: Path, started: list[ChildProcess]
):
    child = start(started, tmp_path, WITH_A_CHILD)
    said: list[str] = []
    wait_for_words(tmp_path, "up")
    psutil.Process(child.pid).kill()
    tend_until(child, said, "runs again")
    assert said[0].startswith("the worker was ended by SIGKILL; it is started again in")
    assert child.is_running
    wait_for_words(tmp_path, "up\nasked\nup\n")


def test_a_worker_that_cannot_start_is_tried_again_for_ever_with_what_it_said_and_what_to_do(
    tmp_path: Path, started: list[ChildProcess]
):
    child = start(started, tmp_path, "raise SystemExit('error: there is no pool')")
    said: list[str] = []
    tend_until(child, said, "7 times in a row")
    assert said[1::2] == ["the worker runs again"] * 6
    deaths = said[::2]
    assert [line.partition("again in ")[2].partition(" s")[0] for line in deaths] == ["0.01", "0.02", *["0.04"] * 5]
    died = "the worker ended with code 1 ('error: there is no pool')"
    log = tmp_path / "log"
    assert deaths[0] == f"{died}; it is started again in 0.01 s (its log is {log})"
    assert deaths[6] == (
        f"{died}, 7 times in a row; it is started again in 0.04 s (mend what {log} tells, or stop all with Ctrl-C)"
    )


def test_what_does_not_end_when_it_is_asked_to_is_killed_with_all_it_has_started(
    tmp_path: Path, started: list[ChildProcess]
):
    deaf = WITH_A_CHILD.replace("signal.signal(signal.SIGTERM, end)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    child = start(started, tmp_path, f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{deaf}")
    wait_for_words(tmp_path, "up")
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children()]
    stop([child], 0.2)
    assert not [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
