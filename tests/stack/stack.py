"""A stack of its own for the test: containers, what its servers say, and a person's commands."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import boto3
import httpx
import yaml

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
COMPOSE = os.environ.get("COMPOSE", "docker compose").split()
DOCKER = os.environ.get("DOCKER", "docker")
PATIENCE_SECONDS = 600
REST_SECONDS = 60  # after a crash, in which an automation begins the run again
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
T = TypeVar("T")

_PROCESSES = """
import psutil, sys
for process in psutil.process_iter(["pid", "cmdline"]):
    if sys.argv[1] in " ".join(process.info["cmdline"] or []) and "psutil" not in " ".join(process.info["cmdline"]):
        print(process.info["pid"])
"""


class Stack:
    """The services of deploy/compose.yaml under another name, on free ports, with secrets of their own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        self.laptop = self._laptop()
        self.configs = self.laptop / "configs"
        ports = {key: str(free_port()) for key in ("PREFECT_PORT", "MLFLOW_PORT", "S3_PORT", "METRICS_PORT")}
        own = {"STACK_NAME": name, "STACK_SECRETS": str(folder / "secrets"), "STACK_CONFIGS": str(self.configs)}
        self.environment = {**os.environ, **ports, **own}
        subprocess.run(["sh", ROOT / "deploy" / "secrets" / "create.sh", folder / "secrets"], check=True)
        self.prefect = f"http://127.0.0.1:{ports['PREFECT_PORT']}/api"
        self.mlflow = f"http://127.0.0.1:{ports['MLFLOW_PORT']}"
        self.s3 = f"http://127.0.0.1:{ports['S3_PORT']}"
        self.addresses = {
            "PREFECT_API_URL": self.prefect,
            "MLFLOW_TRACKING_URI": self.mlflow,
            "ATELIER_PROJECT": str(self.laptop),
            "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",  # as operations.md says
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        }
        self.metrics = f"http://127.0.0.1:{ports['METRICS_PORT']}/metrics"

    # Containers

    def compose(self, *arguments: str, **environment: str) -> str:
        """Run Compose on this stack; what it printed to standard output."""
        files = [
            "--file",
            str(ROOT / "deploy" / "compose.yaml"),
            "--file",
            str(Path(__file__).with_name("compose.yaml")),
        ]
        return run([*COMPOSE, *files, "--profile", "no-gpu", *arguments], {**self.environment, **environment})

    def start(self, **environment: str) -> None:
        """Start what is not running, with the image that is named, and wait until all of it is healthy."""
        self.compose("up", "--detach", "--no-build", "--wait", **environment)

    def remove(self) -> None:
        """Remove containers and volumes."""
        self.compose("down", "--volumes", "--timeout", "5")

    def container(self, service: str) -> str:
        """Return the id of a service's container."""
        return self.compose("ps", "--all", "--quiet", service).strip()

    def docker(self, *arguments: str) -> str:
        """Run Docker; what it printed."""
        return run([DOCKER, *arguments], self.environment)

    def kill_process(self, service: str, words: str) -> None:
        """Kill what runs in a container with these words in its command line, all of it at once, with SIGKILL."""
        found = self.docker("exec", self.container(service), "python", "-c", _PROCESSES, words).split()
        assert found, f"no process with {words!r} in {service}"
        kill = "import os, sys; [os.kill(int(pid), 9) for pid in sys.argv[1:]]"
        self.docker("exec", self.container(service), "python", "-c", kill, *found)

    @contextmanager
    def without(self, service: str, how: str) -> Iterator[None]:
        """Let a server be gone (`stop`) or hang (`pause`) meanwhile."""
        self.docker(how, self.container(service))
        try:
            yield
        finally:
            self.docker({"stop": "start", "pause": "unpause"}[how], self.container(service))

    def sql(self, statement: str) -> None:
        """Run a statement in Postgres, as its administrator."""
        psql = (
            'PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") exec psql --host=127.0.0.1 --username=postgres --command "$0"'
        )
        self.docker("exec", self.container("postgres"), "sh", "-c", psql, statement)

    # What the servers say

    def ask(self, method: str, call: str, content: object = None) -> Any:
        """Return the answer of Prefect's API, asked again while it starts."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = httpx.request(method, f"{self.prefect}/{call}", json=content, timeout=30)
                if answer.status_code < 500:
                    answer.raise_for_status()
                    return answer.json() if answer.content else None
            except httpx.TransportError:
                pass
            assert time.monotonic() < end, f"Prefect does not answer {call}"
            time.sleep(1)

    def deployment(self, name: str) -> dict[str, Any]:
        """Return a deployment, by `flow/name`."""
        return dict(self.ask("GET", f"deployments/name/{name}"))

    def submit(self, name: str, **more: Any) -> str:
        """Submit a flow run of a deployment, as its page does; its id."""
        content = {"state": {"type": "SCHEDULED"}, **more}
        return str(self.ask("POST", f"deployments/{self.deployment(name)['id']}/create_flow_run", content)["id"])

    def run_state(self, run_id: str) -> dict[str, Any]:
        """Return a flow run."""
        return dict(self.ask("GET", f"flow_runs/{run_id}"))

    def runs(self, name: str, **states: Any) -> list[dict[str, Any]]:
        """Return the flow runs of a deployment, the newest first."""
        only = {"deployments": {"id": {"any_": [self.deployment(name)["id"]]}}, "sort": "START_TIME_DESC", "limit": 100}
        return list(self.ask("POST", "flow_runs/filter", {**only, **states}))

    def await_end(self, run_id: str) -> dict[str, Any]:
        """Wait until a flow run has ended, which one that crashed a moment ago has not: it is begun again; the run."""
        return self.wait(lambda: found if _has_ended(found := self.run_state(run_id)) else None, run_id)

    def await_checkpoint(self, service: str = "worker-no-gpu") -> None:
        """Wait until the trainer that runs has written a checkpoint."""
        look = "import glob, sys; sys.exit(not glob.glob('/var/lib/atelier/runs/*/checkpoints/*.json'))"
        command = [DOCKER, "exec", self.container(service), "python", "-c", look]
        self.wait(lambda: subprocess.run(command, capture_output=True).returncode == 0, "checkpoint")

    def wait(self, what: Callable[[], T | None], name: str) -> T:
        """Wait for what is true in its own time."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            if found := what():
                return found
            time.sleep(1)
        raise AssertionError(f"no {name} within {PATIENCE_SECONDS} s")

    # What a person does

    def atelier(self, *arguments: str) -> str:
        """Run `atelier` on a machine that has nothing but the addresses; what it printed."""
        command = [str(Path(sys.executable).with_name("atelier")), *arguments]
        return run(command, {**self.environment, **self.addresses, "COLUMNS": "160"}, cwd=self.laptop)

    def edit(self, config: str, section: str, **values: Any) -> None:
        """Change keys of a section of a config, which all workers see."""
        file = self.configs / f"{config}.yaml"
        content = yaml.safe_load(file.read_text())
        content[section].update(values)
        file.write_text(yaml.safe_dump(content))

    def put(self, folder: Path) -> int:
        """Put the images of a folder into the bucket `inbox`, as its user; how many."""
        key = (self.folder / "secrets" / "s3_inbox_key").read_text()
        client = boto3.client(
            "s3", endpoint_url=self.s3, aws_access_key_id="inbox", aws_secret_access_key=key, region_name="us-east-1"
        )
        images = sorted(folder.rglob("*.png"))
        for image in images:
            client.upload_file(str(image), "inbox", f"digits/{image.relative_to(folder)}")
        return len(images)

    def _laptop(self) -> Path:
        root = Path(tempfile.mkdtemp(prefix="laptop-", dir=self.folder))
        (root / ".dvc").mkdir()
        (root / ".dvc" / "config").write_text((ROOT / ".dvc" / "config").read_text())
        shutil.copytree(Path(__file__).with_name("configs"), root / "configs")
        return root


def _has_ended(flow_run: dict[str, Any]) -> bool:
    since = datetime.now(UTC) - datetime.fromisoformat(flow_run["state"]["timestamp"])
    is_crashed = flow_run["state_type"] == "CRASHED"
    return flow_run["state_type"] in ENDED and (not is_crashed or since.total_seconds() > REST_SECONDS)


def run(command: list[str], environment: dict[str, str], cwd: Path = ROOT) -> str:
    """Run a command that has to succeed; what it printed to standard output."""
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, (
        f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    )
    return done.stdout


def versions(stack: Stack) -> dict[str, str]:
    """Return the versions of what stands around, for the report."""
    docker = json.loads(stack.docker("version", "--format", "{{json .Server}}"))
    return {
        "Docker": docker["Version"],
        "Compose": run([*COMPOSE, "version", "--short"], stack.environment).strip(),
        "Postgres": stack.docker("exec", stack.container("postgres"), "postgres", "--version").strip(),
        "SeaweedFS": stack.docker("exec", stack.container("s3"), "weed", "version").strip().splitlines()[0],
        "Image": stack.docker(
            "inspect",
            "--format",
            '{{index .Config.Labels "org.opencontainers.image.revision"}}',
            stack.container("worker-cpu"),
        ).strip(),
    }
