"""A real Prefect server of a test's own, that can be killed, started again, and told that a lease has run out."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from tests.support.ports import free_port

PATIENCE_SECONDS = 120
LONG_AGO = "2000-01-01T00:00:00+00:00"


@dataclass
class RestartablePrefect:
    """The server; its database and its leases are in `home`."""

    home: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        environment = {
            **os.environ,
            "PREFECT_HOME": str(self.home),
            "PREFECT_SERVER_UI_ENABLED": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "1",
        }
        self.home.mkdir(exist_ok=True)
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.address}/health", timeout=2).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise AssertionError((self.home / "server.log").read_text())

    def kill(self) -> None:
        """End it as a machine does that is switched off."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def forget_leases(self) -> None:
        """Do what a restart does to a server that keeps them in memory; slots are in the database."""
        for file in (self.home / "concurrency_leases").glob("*-*.json"):
            file.unlink()

    def let_leases_run_out(self) -> None:
        """Do to all leases what time does: the server takes none that is shorter than a minute."""
        folder = self.home / "concurrency_leases"
        for file in folder.glob("*-*.json"):
            _replace(file, {**json.loads(file.read_text()), "expiration": LONG_AGO})
        index = folder / "expirations.json"
        _replace(index, dict.fromkeys(json.loads(index.read_text()), LONG_AGO))


@contextmanager
def restartable_prefect(home: Path) -> Iterator[RestartablePrefect]:
    """A server that this process uses meanwhile."""
    server = RestartablePrefect(home)
    server.start()
    try:
        with temporary_settings({PREFECT_API_URL: server.address, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            yield server
            APILogHandler().flush()  # what is logged later has nowhere to go, and would be told of on the terminal
    finally:
        server.kill()


def _replace(file: Path, content: object) -> None:
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps(content))
    temporary.replace(file)
