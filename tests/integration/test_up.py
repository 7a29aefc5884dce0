"""`atelier up` once, for real: servers, work pools, deployments, workers, and a retrain on them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from flows.config.settings import Settings
from flows.runtime.records import Evaluation, TrainingRun
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking
from tests.support.project import Project, hear_ctrl_c, make_project, point_environment

COMMAND = str(Path(sys.executable).with_name("atelier"))
PATIENCE_SECONDS = 300
T = TypeVar("T")


def two_free_ports() -> int:
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[tuple[Project, int]]:
    """A project with `atelier up` running in it, and the port of its Prefect server."""
    project = make_project(tmp_path_factory.mktemp("up") / "project", empty_database)
    with pytest.MonkeyPatch.context() as monkeypatch:
        point_environment(monkeypatch, project)
        for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
            monkeypatch.delenv(name, raising=False)
        port = two_free_ports()
        up = subprocess.Popen(
            [COMMAND, "up", "--port", str(port)],
            cwd=project.root,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=hear_ctrl_c,
        )
        for line in up.stdout:
            if "Ctrl-C stops" in line:
                break
        else:
            pytest.fail(f"`atelier up` ended with code {up.wait()}")
        yield project, port
        up.send_signal(signal.SIGINT)
        assert up.wait(PATIENCE_SECONDS) == 0
        for stopped in (port, port + 1):
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", stopped)) != 0, f"something still listens on port {stopped}"


def api(port: int, call: str, content: dict[str, object] | None = None) -> list[dict[str, object]]:
    answer = httpx.post(f"http://127.0.0.1:{port}/api/{call}/filter", json=content or {}, timeout=30)
    answer.raise_for_status()
    return list(answer.json())


def wait_for(what: Callable[[], T | None], name: str) -> T:
    """Give what a server makes in its own time."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.5)
    pytest.fail(f"no {name} within {PATIENCE_SECONDS} seconds")


def run(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=project.root,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def test_every_active_schedule_has_runs_that_wait_for_their_time(running: tuple[Project, int]):
    _, port = running
    due = {
        (str(deployment["name"]), schedule["slug"])
        for deployment in api(port, "deployments")
        for schedule in deployment["schedules"]
        if schedule["active"]
    }
    names = {row["id"]: str(row["name"]) for row in api(port, "deployments")}

    def scheduled() -> set[tuple[str, str]]:
        waiting = api(port, "flow_runs", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}})
        configs = {(names[run["deployment_id"]], Path(run["parameters"]["config"]).stem) for run in waiting}
        return configs if configs >= due else set()

    assert {name for name, _ in due} == {"retrain", "dataset"}
    assert wait_for(scheduled, f"scheduled run of each of {due}") == due


def test_a_remote_retrain_runs_every_stage_as_a_flow_run_of_its_own_deployment(running: tuple[Project, int]):
    project, port = running
    done = run(project, "retrain", project.config, "--remote")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "version 1: promoted" in done.stdout
    deployments = {row["id"]: row["name"] for row in api(port, "deployments")}
    assert set(deployments.values()) == {"retrain", "dataset", "train", "evaluate", "promote"}
    runs = {deployments[row["deployment_id"]]: row for row in api(port, "flow_runs") if row["deployment_id"]}
    assert set(runs) == {"dataset", "train", "evaluate", "promote"}
    assert all(row["state_type"] == "COMPLETED" for row in runs.values())
    assert str(runs["train"]["name"]).startswith("train tiny-digits ")
    assert runs["train"]["work_pool_name"] == "gpu"
    artifacts = {row["key"] for row in api(port, "artifacts")}
    assert {"dataset-tiny", "train-tiny-digits", "evaluate-tiny-digits", "promote-tiny-digits"} <= artifacts


def test_what_ran_remotely_is_found_done_by_a_local_retrain(running: tuple[Project, int]):
    project, _ = running
    done = run(project, "retrain", project.config)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("skipped, nothing new") == 4


@pytest.mark.usefixtures("running")
def test_a_stage_leaves_a_record_that_holds_the_one_it_was_given():
    registry = Registry(Tracking(Settings()))
    champion = registry.at("tiny-digits", "champion")
    assert champion is not None
    training = registry.tracking.record(TrainingRun, champion.tags["training_run"])
    assert training is not None
    evaluation = registry.tracking.find_finished(Evaluation, "tiny-digits", "evaluate", training_run=training.run_id)
    assert evaluation is not None
    assert evaluation.training == training


def test_a_second_up_is_refused(running: tuple[Project, int]):
    project, _ = running
    done = run(project, "up")
    assert done.returncode == 1
    assert "already running" in done.stderr
