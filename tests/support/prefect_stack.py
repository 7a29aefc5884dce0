"""A real Prefect server of its own, with what `atelier deploy` makes, and workers that tests stop and kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from flows.cli.automations import keep_automation, wanted
from flows.cli.child_process import ChildProcess, stop
from flows.cli.deployments import deploy
from flows.cli.dev_servers import ENVIRONMENT, _prefect_server
from flows.config.settings import Settings
from flows.runtime.process_tree import MARK, end_marked, new_mark
from tests.support.ports import free_port
from tests.support.prefect_server import EmptyPrefect
from tests.support.project import Project

PATIENCE_SECONDS = 300
T = TypeVar("T")


def wait_for(what: Callable[[], T | None], name: str) -> T:
    """Give what comes in its own time."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.2)
    pytest.fail(f"no {name} within {PATIENCE_SECONDS} seconds")


@dataclass
class Worker:
    """`atelier worker` in a process, and whatever it has started."""

    process: subprocess.Popen[bytes]
    mark: str

    def stop(self) -> int:
        """Ask it to end, as systemd and Docker do; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def die(self) -> None:
        """Let it be as if its machine had lost power: all its processes are gone at once."""
        self.process.kill()
        end_marked(self.mark, 0.0)
        self.process.wait()


@dataclass
class Stack:
    """The server's API, and the workers that ask it for runs."""

    project: Project
    address: str
    workers: list[Worker] = field(default_factory=list)

    def ask(self, method: str, call: str, content: dict[str, Any] | None = None) -> Any:
        url = f"{self.address}/{call}"
        while (answer := httpx.request(method, url, json=content, timeout=30)).status_code == 503:
            time.sleep(0.5)  # its database is busy, and Prefect's own client asks again too
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def reached(self) -> AbstractContextManager[object]:
        """Within this context, this process's flows and clients use the server."""
        return temporary_settings({PREFECT_API_URL: self.address, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})

    def deploy(self, **settings: Any) -> list[str]:
        """Run `atelier deploy` with the given settings."""
        with self.reached(), pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setenv("PREFECT_API_URL", self.address)
            return deploy(Settings(**settings), [self.project.config])

    def automate(self, **settings: Any) -> None:
        """Let the automations be as `atelier deploy` makes them with the given settings."""
        with self.reached(), get_client(sync_client=True) as client:
            for automation in wanted(Settings(**settings)):
                keep_automation(client, automation)

    def ids(self) -> dict[str, str]:
        """Of everything that deploying makes, by name."""
        return {
            f"{kind} {row['name']} {row.get('flow_id', '')}": row["id"]
            for kind in ("work_pools", "deployments", "automations")
            for row in self.ask("POST", f"{kind}/filter", {})
        }

    def submit(self, deployment: str) -> str:
        """Queue a run of a deployment; its id."""
        found = self.ask("GET", f"deployments/name/{deployment}")
        content: dict[str, Any] = {"state": {"type": "SCHEDULED"}}
        return str(self.ask("POST", f"deployments/{found['id']}/create_flow_run", content)["id"])

    def submit_of_others(self, flow: str) -> str:
        """Queue a run of another project that shares the server, of a flow of this name; its id."""
        of_theirs = {"name": "theirs", "flow_id": self.ask("POST", "flows/", {"name": flow})["id"]}
        found = self.ask("POST", "deployments/", of_theirs)
        return str(self.ask("POST", f"deployments/{found['id']}/create_flow_run", {})["id"])

    def set_state(self, run_id: str, state_type: str) -> None:
        self.ask("POST", f"flow_runs/{run_id}/set_state", {"state": {"type": state_type}})

    def run(self, run_id: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"flow_runs/{run_id}"))

    def history(self, run_id: str) -> list[str]:
        """The names of the states that a run was in, one after the other."""
        return [row["name"] for row in self.ask("GET", f"flow_run_states/?flow_run_id={run_id}")]

    def slots_taken(self) -> int:
        """Of the limits of all deployments."""
        return sum(row["active_slots"] for row in self._limits() if row["name"].startswith("deployment:"))

    def locks(self) -> list[str]:
        """Those of work that is under way on some host."""
        return [row["name"] for row in self._limits() if row["name"].startswith("atelier-")]

    def _limits(self) -> list[dict[str, Any]]:
        return list(self.ask("POST", "v2/concurrency_limits/filter", {}))

    def start_worker(self, pool: str) -> Worker:
        mark = new_mark()
        command = [sys.executable, "-m", "flows.cli.main", "worker", "--pool", pool, "--health-port", "0"]
        environment = {**os.environ, "PREFECT_API_URL": self.address, MARK: mark}
        with (self.project.root.parent / f"worker-{len(self.workers)}.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.project.root, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self.workers.append(Worker(process, mark))
        return self.workers[-1]


@contextmanager
def running_stack(project: Project, empty_prefect: EmptyPrefect) -> Iterator[Stack]:
    """A stack for a project that this process works in; all of it is gone at the end."""
    port = free_port()
    empty_prefect.lend(Path(os.environ["PREFECT_HOME"]))
    log = project.root.parent / "prefect-server.log"
    server = ChildProcess("server", _prefect_server(port), log, project.root, {**ENVIRONMENT, **os.environ})
    stack = Stack(project, f"http://127.0.0.1:{port}/api")
    try:
        wait_for(lambda: _answers(stack), "answer of the Prefect server")
        yield stack
    finally:
        for worker in stack.workers:
            worker.die()
        stop([server], 20)


def _answers(stack: Stack) -> bool:
    try:
        return httpx.get(f"{stack.address}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False
