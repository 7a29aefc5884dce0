"""`atelier up` once, for real: servers, work pools, deployments, workers, and a retrain on them."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from flows.config.settings import Settings
from flows.runtime.records import Evaluation, TrainingRun
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking
from tests.support.project import Project, hear_ctrl_c, make_project, point_environment

COMMAND = str(Path(sys.executable).with_name("atelier"))
PATIENCE_SECONDS = 300
WORKING = ("Running", "Completed")
T = TypeVar("T")


def two_free_ports() -> int:
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[tuple[Project, int]]:
    """A project with `atelier up` running in it, and the port of its Prefect server."""
    project = make_project(tmp_path_factory.mktemp("up") / "project", empty_database)
    with pytest.MonkeyPatch.context() as monkeypatch, terminal_of(project).open("wb") as terminal:
        point_environment(monkeypatch, project)
        for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
            monkeypatch.delenv(name, raising=False)
        port = two_free_ports()
        command = [COMMAND, "up", "--port", str(port)]
        up = subprocess.Popen(command, cwd=project.root, stdout=terminal, preexec_fn=hear_ctrl_c)
        wait_for(lambda: "Ctrl-C stops" in terminal_of(project).read_text() or up.poll() is not None, "servers")
        assert up.poll() is None, f"`atelier up` ended with code {up.returncode}"
        yield project, port
        up.send_signal(signal.SIGINT)
        assert up.wait(PATIENCE_SECONDS) == 0
        for stopped in (port, port + 1):
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", stopped)) != 0, f"something still listens on port {stopped}"


def terminal_of(project: Project) -> Path:
    return project.root.with_name("up.txt")


def ask(port: int, method: str, call: str, content: dict[str, object] | None = None) -> httpx.Response:
    address = f"http://127.0.0.1:{port}/api/{call}"
    while (answer := httpx.request(method, address, json=content, timeout=30)).status_code == 503:
        time.sleep(0.5)  # its database is busy, and Prefect's own client asks again too
    return answer.raise_for_status()


def api(port: int, call: str, content: dict[str, object] | None = None) -> list[dict[str, Any]]:
    return list(ask(port, "POST", f"{call}/filter", content or {}).json())


def submit(port: int, stage: str, config: str) -> str:
    """Submit a flow run of a stage's deployment; its id."""
    (deployment,) = [row["id"] for row in api(port, "deployments") if row["name"] == stage]
    content: dict[str, object] = {"parameters": {"config": config}, "state": {"type": "SCHEDULED"}}
    return str(ask(port, "POST", f"deployments/{deployment}/create_flow_run", content).json()["id"])


def ended(port: int, run_id: str) -> bool:
    state = ask(port, "GET", f"flow_runs/{run_id}").json()["state_type"]
    return state in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


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


@pytest.fixture(scope="module")
def retrained(running: tuple[Project, int]) -> subprocess.CompletedProcess[str]:
    """A retrain on the workers, once it has ended."""
    project, _ = running
    return run(project, "retrain", project.config, "--on-workers")


def active_schedules(port: int) -> set[tuple[str, str]]:
    """Deployment and slug, the name of the config, of every schedule that is switched on."""
    return {
        (str(deployment["name"]), str(schedule["slug"]))
        for deployment in api(port, "deployments")
        for schedule in deployment["schedules"]
        if schedule["active"]
    }


def wait_for_planned_runs(port: int) -> set[tuple[str, str]]:
    """Deployments and configs of the runs that wait for their time, once every active schedule has some."""
    names = {row["id"]: str(row["name"]) for row in api(port, "deployments")}

    def planned() -> set[tuple[str, str]]:
        runs = api(port, "flow_runs", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}})
        found = {(names[run["deployment_id"]], Path(run["parameters"]["config"]).stem) for run in runs}
        return found if found >= active_schedules(port) else set()

    return wait_for(planned, "run of every schedule")


def test_every_active_schedule_has_runs_that_wait_for_their_time(running: tuple[Project, int]):
    _, port = running
    models = ("digits-generator", "photo-restorer")
    assert active_schedules(port) == {(stage, model) for stage in ("retrain", "dataset") for model in models}
    assert wait_for_planned_runs(port) >= active_schedules(port)


def test_doctor_says_when_each_model_runs_next_or_why_it_does_not(running: tuple[Project, int]):
    project, port = running
    wait_for_planned_runs(port)
    told = run(project, "doctor").stdout
    (line,) = [line for line in told.splitlines() if "configs/digits-generator.yaml: " in line]
    assert re.search(r"retrain 20\d\d-\d\d-\d\d 03:00 UTC", line)
    assert re.search(r"dataset 20\d\d-\d\d-\d\d 01:00 UTC", line)
    assert "train (switched off)" in line
    assert f"{project.config}: never: no schedule names it; add one to prefect.yaml" in told
    (retrain,) = [row["id"] for row in api(port, "deployments") if row["name"] == "retrain"]
    ask(port, "POST", f"deployments/{retrain}/pause_deployment")
    assert "retrain (the deployment is paused)" in run(project, "doctor").stdout
    ask(port, "POST", f"deployments/{retrain}/resume_deployment")


def test_an_error_in_a_worker_is_told_in_the_terminal(running: tuple[Project, int]):
    project, port = running
    submit(port, "dataset", "configs/nowhere.yaml")
    wait_for(lambda: "there is no config" in terminal_of(project).read_text(), "error in the terminal")
    assert "cpu worker: " in terminal_of(project).read_text()


def test_a_second_run_of_a_deployment_waits_for_the_first(running: tuple[Project, int]):
    project, port = running
    both = [submit(port, "dataset", project.config) for _ in range(2)]
    wait_for(lambda: all(ended(port, run_id) for run_id in both), "end of two runs")
    histories = [ask(port, "GET", f"flow_run_states/?flow_run_id={run_id}").json() for run_id in both]
    assert [history[-1]["name"] for history in histories] == ["Completed", "Completed"]
    assert any(state["name"] == "AwaitingConcurrencySlot" for history in histories for state in history)
    times = sorted([state["timestamp"] for state in history if state["name"] in WORKING] for history in histories)
    assert max(times[0]) < min(times[1]), "they ran side by side"


def test_a_remote_retrain_runs_every_stage_as_a_flow_run_of_its_own_deployment(
    running: tuple[Project, int], retrained: subprocess.CompletedProcess[str]
):
    project, port = running
    assert retrained.returncode == 0, retrained.stdout + retrained.stderr
    assert "version 1: promoted" in retrained.stdout
    deployments = {row["id"]: row["name"] for row in api(port, "deployments")}
    assert set(deployments.values()) == {"retrain", "dataset", "train", "evaluate", "promote"}
    flow_runs = [row for row in api(port, "flow_runs") if row["parameters"].get("config") == project.config]
    runs = {deployments[row["deployment_id"]]: row for row in flow_runs if row["deployment_id"]}
    assert set(runs) == {"dataset", "train", "evaluate", "promote"}
    assert all(row["state_type"] == "COMPLETED" for row in runs.values())
    assert str(runs["train"]["name"]).startswith("train tiny-digits ")
    assert runs["train"]["work_pool_name"] == "gpu"
    artifacts = {row["key"] for row in api(port, "artifacts")}
    assert {"dataset-tiny", "train-tiny-digits", "evaluate-tiny-digits", "promote-tiny-digits"} <= artifacts


@pytest.mark.usefixtures("retrained")
def test_what_ran_remotely_is_found_done_by_a_local_retrain(running: tuple[Project, int]):
    project, _ = running
    done = run(project, "retrain", project.config)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("skipped, nothing new") == 4


@pytest.mark.usefixtures("retrained")
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
