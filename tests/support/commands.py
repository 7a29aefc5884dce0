"""The command line in a process of its own, run to its end or followed line by line."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.project import Project, hear_ctrl_c

COMMAND = str(Path(sys.executable).with_name("atelier"))
PATIENCE_SECONDS = 300


def run(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a project to its end."""
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=project.root,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def start(project: Project, *arguments: str) -> subprocess.Popen[str]:
    """Start a command in a project that hears Ctrl-C, and whose lines come as they are written."""
    return subprocess.Popen(
        [COMMAND, *arguments],
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def read_until(command: subprocess.Popen[str], text: str) -> str:
    """Read lines of a command to the one that has a text in it, and return them."""
    assert command.stdout is not None
    read = ""
    for line in command.stdout:
        read += line
        if text in line:
            return read
    raise AssertionError(read + command.communicate()[1])


def end_of(command: subprocess.Popen[str], read: str) -> subprocess.CompletedProcess[str]:
    """Return how a command ended, of whose lines some have been read."""
    rest, errors = command.communicate(timeout=PATIENCE_SECONDS)
    return subprocess.CompletedProcess(command.args, command.returncode, read + rest, errors)
