"""Hosts of one team: project folders with nothing in common but a Prefect server, MLflow and a bucket."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.project import Project

PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class Host:
    """A project folder, and the addresses that its commands are told."""

    project: Project
    addresses: dict[str, str]

    def environment(self) -> dict[str, str]:
        state = self.project.root / ".atelier"
        own = {"ATELIER_PROJECT": str(self.project.root), "PREFECT_HOME": str(state / "prefect")}
        return {**os.environ, **self.addresses, **own}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of Atelier."""
        return self._start([str(Path(sys.executable).with_name("atelier")), *arguments])

    def start_program(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a Python program, whose `sys.argv[1:]` are the arguments."""
        return self._start([sys.executable, "-c", program, *arguments])

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.project.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def at_once(commands: list[subprocess.Popen[str]]) -> list[str]:
    """Wait for commands that run side by side, all of which have to end well; what each printed."""
    printed = []
    for command in commands:
        output, errors = command.communicate(timeout=PATIENCE_SECONDS)
        assert command.returncode == 0, errors
        printed.append(output)
    return printed


def second_host(first: Host, root: Path) -> Host:
    """The same project on another host, before anything was done there."""
    project = Project(root)
    shutil.copytree(first.project.root, root, ignore=shutil.ignore_patterns(".atelier"))
    return Host(project, first.addresses)
