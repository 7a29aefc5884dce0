"""The services of deploy/compose.yaml as processes of this machine, where there is no Docker daemon.

Commands, variables and scripts are those that Compose itself resolves. What a container would have of its own is a
folder here: /app a project, /var/lib/atelier a home, /run/secrets the secrets; names of services become 127.0.0.1 with
free ports. Nothing is shared between two workers but the servers.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.support.ports import free_port
from tests.support.postgres_server import PostgresServer

DEPLOY = Path(__file__).parents[2] / "deploy"
BIN = Path(sys.executable).parent
PATIENCE_SECONDS = 120
OTHER_PORTS = (  # of SeaweedFS, which a container has for itself
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"),
    "s3.port.grpc",
)


def resolved_compose(profile: str = "*") -> dict[str, Any]:
    """Return the Compose file as Compose understands it."""
    done = subprocess.run(
        [BIN / "docker-compose", "--file", DEPLOY / "compose.yaml", "--profile", profile, "config", "--format", "json"],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(DEPLOY)},
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "Compose warns about something it does not understand"
    return dict(json.loads(done.stdout))


class ComposeProcesses:
    """Servers and workers that were started from the Compose file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._services: dict[str, Any] = resolved_compose()["services"]
        self._running: list[tuple[subprocess.Popen[bytes], signal.Signals]] = []
        self._ports = {name: free_port() for name in ("s3:8333", "prefect-server:4200", "mlflow-server:5000")}
        self._postgres: PostgresServer | None = None
        self.secrets = folder / "secrets"
        subprocess.run(["sh", DEPLOY / "secrets" / "create.sh", self.secrets], check=True, capture_output=True)

    @property
    def addresses(self) -> dict[str, str]:
        """Return what a person's own machine has in its environment."""
        return {
            "PREFECT_API_URL": f"http://127.0.0.1:{self._ports['prefect-server:4200']}/api",
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{self._ports['mlflow-server:5000']}",
        }

    @property
    def s3_endpoint(self) -> str:
        """Return the address of the S3 server."""
        return f"http://127.0.0.1:{self._ports['s3:8333']}"

    def start_servers(self) -> None:
        """Start Postgres, S3, Prefect and MLflow, and wait until their health checks would hold."""
        self._start_postgres()
        self._start_s3()
        self._await(f"{self.s3_endpoint}/healthz")
        self.finish("buckets", self._folder)
        for name in ("prefect-server", "mlflow-server"):
            self.start(name, self._folder / name)
        self._await(f"{self.addresses['PREFECT_API_URL']}/health")
        self._await(f"{self.addresses['MLFLOW_TRACKING_URI']}/health")

    def start(self, service: str, app: Path, *more: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a service in the folder that stands for /app; its home is beside it."""
        app.mkdir(parents=True, exist_ok=True)
        command, variables = self._command(service, app)
        with (self._folder / f"{app.name}-{service}.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, *more], cwd=app, env={**variables, **environment}, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._running.append((process, signal.SIGTERM))
        return process

    def finish(self, service: str, app: Path, *more: str) -> str:
        """Run a service that ends by itself to its end; what it printed."""
        command, variables = self._command(service, app)
        cwd = DEPLOY.parent if service == "buckets" else app
        done = subprocess.run([*command, *more], cwd=cwd, env=variables, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{service}: {done.stdout}{done.stderr}"
        return done.stdout

    def log_of(self, service: str, app: Path) -> str:
        """Return what a service has printed."""
        return (self._folder / f"{app.name}-{service}.log").read_text(errors="replace")

    def stop(self) -> None:
        """End workers before servers, as Compose does."""
        for process, number in reversed(self._running):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            try:
                process.wait(PATIENCE_SECONDS)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if self._postgres:
            self._postgres.stop()

    def _command(self, service: str, app: Path) -> tuple[list[str], dict[str, str]]:
        resolved = self._services[service]
        command = ["sh", str(DEPLOY / "entrypoint.sh"), *(self._here(word, app) for word in resolved["command"])]
        command = [f"--port={self._ports['mlflow-server:5000']}" if word == "--port=5000" else word for word in command]
        command = [str(self._ports["prefect-server:4200"]) if word == "4200" else word for word in command]
        home = self._home(app)
        home.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(home),
            "TMPDIR": str(home),
            "OMP_NUM_THREADS": os.environ["OMP_NUM_THREADS"],
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
            **{key: self._here(str(value), app) for key, value in resolved.get("environment", {}).items()},
        }
        return command, environment

    def _here(self, text: str, app: Path) -> str:
        """Return a word of the Compose file with this machine's folders and ports."""
        for name, port in self._ports.items():
            text = text.replace(name, f"127.0.0.1:{port}")
        for name, folder in {
            "/run/secrets": self.secrets,
            "/var/lib/atelier": self._home(app),
            "/home/atelier": self._home(app),
        }.items():
            text = text.replace(name, str(folder))
        if text == "/app":
            return str(app)
        return {"postgres": "127.0.0.1", "5432": str(self._ports["postgres:5432"])}.get(text, text)

    def _home(self, app: Path) -> Path:
        return app.with_name(f"{app.name}-home")

    def lend_dvc_config(self, app: Path) -> None:
        """Put deploy/dvc.config where Compose mounts it."""
        text = (DEPLOY / "dvc.config").read_text().replace("/var/lib/atelier", str(self._home(app)))
        (app / ".dvc" / "config.local").write_text(text)

    def _start_postgres(self) -> None:
        environment = self._services["postgres"]["environment"]
        password = (self.secrets / Path(environment["POSTGRES_PASSWORD_FILE"]).name).read_text()
        self._postgres = PostgresServer(password, environment["POSTGRES_INITDB_ARGS"].split())
        self._ports["postgres:5432"] = self._postgres.port
        self._postgres.run_script(DEPLOY / "postgres" / "databases.sh", SECRETS_DIR=str(self.secrets))

    def _start_s3(self) -> None:
        folder = self._folder / "s3"
        for name in ("data", "run"):
            (folder / name).mkdir(parents=True)
        environment = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "SECRETS_DIR": str(self.secrets),
            "CONFIG_DIR": str(folder / "run"),
            "DATA_DIR": str(folder / "data"),
        }
        ports = [f"-{name}={free_port()}" for name in OTHER_PORTS]
        command = ["sh", str(DEPLOY / "s3" / "start.sh"), *ports, f"-s3.port={self._ports['s3:8333']}"]
        with (self._folder / "s3.log").open("ab") as log:
            server = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True
            )
        self._running.append((server, signal.SIGKILL))  # asked politely, it waits for idle connections

    def _await(self, address: str) -> None:
        def answers() -> bool:
            with suppress(httpx.HTTPError):
                return httpx.get(address, timeout=5).is_success
            return False

        _wait(answers, address, alive=[process for process, _ in self._running])


def _wait(what: Callable[[], bool], name: str, alive: Iterable[subprocess.Popen[bytes]] = ()) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not what():
        ended = [process.args for process in alive if process.poll() is not None]
        assert not ended, f"waiting for {name}: {ended} ended"
        assert time.monotonic() < end, f"no {name} within {PATIENCE_SECONDS} seconds"
        time.sleep(0.2)
