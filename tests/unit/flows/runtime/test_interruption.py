"""A command that is asked to end while what it waits for never comes."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.support.project import ROOT, hear_ctrl_c

PROGRAM = """
import subprocess, sys, time
from flows.runtime import interruption
interruption.SECONDS_APART = 0.2
interruption.SECONDS_UNTIL_TOLD = 0.1
interruption.FLOW_SECONDS = float(sys.argv[1])
interruption.interrupt_in_order()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
try:
    print(child.pid, flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print("asked", flush=True)
    time.sleep(600)
"""


def start(seconds: float) -> tuple[subprocess.Popen[str], psutil.Process]:
    """A command that a signal alone does not end, and a process that it has started."""
    command = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(seconds)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,
    )
    assert command.stdout
    return command, psutil.Process(int(command.stdout.readline()))


def wait_for_end(child: psutil.Process) -> None:
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.02)


def test_a_second_ctrl_c_ends_it_and_what_it_has_started_at_once():
    command, child = start(600)
    command.send_signal(signal.SIGINT)
    assert command.stdout
    assert command.stderr
    assert command.stdout.readline() == "asked\n"
    for passed_on in (signal.SIGTERM, signal.SIGHUP):  # what a shell, make or timeout adds
        command.send_signal(passed_on)
    assert "Ctrl-C again" in command.stderr.readline()
    assert command.poll() is None
    while command.poll() is None:
        command.send_signal(signal.SIGINT)
        time.sleep(0.02)
    assert command.returncode == 130
    assert "run the same command again" in command.stderr.read()
    wait_for_end(child)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_that_waits_for_what_does_not_come_ends_by_itself_in_the_time_it_has(how: signal.Signals):
    command, child = start(0.2)
    command.send_signal(how)
    out, errors = command.communicate(timeout=60)
    assert out == "asked\n"
    assert command.returncode == 130
    assert "stopped at once" in errors
    wait_for_end(child)
