"""`atelier up` once, for real: servers, work pools, deployments, workers, and a retrain on them."""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.cli.schedules import read_schedules
from flows.config.settings import Settings
from flows.runtime.records import Evaluation, TrainingRun
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking
from tests.support.commands import COMMAND, PATIENCE_SECONDS, end_of, read_until, run, start
from tests.support.prefect_api import api, ask, deployments, ended, runs_of, submit, wait_for
from tests.support.prefect_server import EmptyPrefect
from tests.support.project import Project, hear_ctrl_c, make_project, point_environment

WORKING = ("Running", "Completed")
STAGES = ("dataset", "train", "evaluate", "promote")


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
def running(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, empty_prefect: EmptyPrefect
) -> Iterator[tuple[Project, int]]:
    """A project with `atelier up` running in it, and the port of its Prefect server."""
    project = make_project(tmp_path_factory.mktemp("up") / "project", empty_database)
    empty_prefect.lend(project.root / ".atelier" / "prefect")
    add_deployments(project)
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


def add_deployments(project: Project) -> None:
    """Give the project's model deployments in prefect.yaml, without schedules."""
    file = project.root / "prefect.yaml"
    content = yaml.safe_load(file.read_text())
    for demo in content["deployments"][:5]:
        parameters = {**demo["parameters"], "config": project.config}
        content["deployments"].append({**demo, "name": "tiny-digits", "parameters": parameters, "schedules": []})
    file.write_text(yaml.safe_dump(content))


def terminal_of(project: Project) -> Path:
    return project.root.with_name("up.txt")


class Retrained(NamedTuple):
    """A retrain on the workers: of the command that looked on first and was stopped, and of the one that joined."""

    interrupted: subprocess.CompletedProcess[str]
    joined: subprocess.CompletedProcess[str]
    second: dict[str, Any]  # the flow run that a trigger submitted while it ran


@pytest.fixture(scope="module")
def retrained(running: tuple[Project, int]) -> Retrained:
    """A retrain on the workers, with a person who leaves and comes back and a trigger that fires meanwhile."""
    project, port = running
    first = start(project, "retrain", project.config, "--on-workers")
    read = read_until(first, "retrain tiny-digits: running")
    first.send_signal(signal.SIGINT)
    interrupted = end_of(first, read)
    again = start(project, "retrain", project.config, "--on-workers")
    read = read_until(again, "is joined")
    second = submit(port, "retrain/tiny-digits", config=project.config, remote=True)
    joined = end_of(again, read)
    wait_for(lambda: ended(port, second), "end of the second retrain")
    return Retrained(interrupted, joined, ask(port, "GET", f"flow_runs/{second}").json())


def active_schedules(port: int) -> set[tuple[str, str]]:
    """Deployment and slug of every schedule that is switched on."""
    return {
        (name, str(schedule["slug"]))
        for name, deployment in deployments(port).items()
        for schedule in deployment["schedules"]
        if schedule["active"]
    }


def wait_for_planned_runs(port: int) -> set[str]:
    """Deployments of the runs that wait for their time, once every active schedule has some."""
    names = {row["id"]: name for name, row in deployments(port).items()}

    def planned() -> set[str]:
        runs = api(port, "flow_runs", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}})
        found = {names[run["deployment_id"]] for run in runs}
        return found if found >= {name for name, _ in active_schedules(port)} else set()

    return wait_for(planned, "run of every schedule")


def test_every_active_schedule_has_runs_that_wait_for_their_time(running: tuple[Project, int]):
    _, port = running
    models = ("digits-generator", "photo-restorer")
    slugs = {"retrain": "weekly", "dataset": "nightly"}
    assert active_schedules(port) == {(f"{flow}/{model}", slug) for flow, slug in slugs.items() for model in models}
    assert wait_for_planned_runs(port) >= {name for name, _ in active_schedules(port)}


def test_each_model_has_deployments_of_its_own_name_that_run_one_at_a_time(running: tuple[Project, int]):
    _, port = running
    models = ("digits-generator", "photo-restorer", "tiny-digits")
    found = deployments(port)
    assert set(found) == {f"{flow}/{model}" for flow in ("retrain", *STAGES) for model in models}
    assert {row["global_concurrency_limit"]["limit"] for row in found.values()} == {1}
    assert {name.partition("/")[0] for name, row in found.items() if row["work_pool_name"] == "gpu"} == {"train"}


def test_doctor_says_when_each_model_runs_next_or_why_it_does_not(running: tuple[Project, int]):
    project, port = running
    wait_for_planned_runs(port)
    told = run(project, "doctor").stdout
    (line,) = [line for line in told.splitlines() if "configs/digits-generator.yaml: " in line]
    assert re.search(r"retrain 20\d\d-\d\d-\d\d 03:00 UTC", line)
    assert re.search(r"dataset 20\d\d-\d\d-\d\d 01:00 UTC", line)
    assert "train (switched off)" in line
    for pool in ("cpu", "gpu"):
        assert re.search(rf"{pool}: {pool}-\S+, heard of at 20\d\d-\d\d-\d\d", told)
    assert f"{project.config}: never: no schedule names it; add one to prefect.yaml" in told
    retrain = deployments(port)["retrain/digits-generator"]["id"]
    ask(port, "POST", f"deployments/{retrain}/pause_deployment")
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}):
        assert "retrain (the deployment is paused)" in map(str, read_schedules())
    ask(port, "POST", f"deployments/{retrain}/resume_deployment")


def test_an_error_in_a_worker_is_told_in_the_terminal(running: tuple[Project, int]):
    project, port = running
    submit(port, "dataset/tiny-digits", config="configs/nowhere.yaml")
    wait_for(lambda: "there is no config" in terminal_of(project).read_text(), "error in the terminal")
    assert "cpu worker: " in terminal_of(project).read_text()


def test_whoever_leaves_is_told_that_the_workers_go_on_and_joins_them_with_the_same_command(
    running: tuple[Project, int], retrained: Retrained
):
    project, port = running
    first, second = runs_of(port, "retrain/tiny-digits")
    page = f"http://127.0.0.1:{port}/runs/flow-run/{first['id']}"
    interrupted, joined = retrained.interrupted, retrained.joined
    assert interrupted.returncode == 1
    assert f"the workers go on: {page}" in interrupted.stderr
    assert f"`prefect flow-run cancel {first['id']}`" in interrupted.stderr
    assert f"`atelier retrain {project.config} --on-workers`" in interrupted.stderr
    assert "Traceback" not in interrupted.stderr
    assert joined.returncode == 0, joined.stdout + joined.stderr
    assert f"is under way already, and is joined: {page}" in joined.stdout
    assert second["id"] == retrained.second["id"], "and no other was submitted"


def test_a_retrain_on_workers_shows_how_it_gets_on_and_what_came_of_it(
    running: tuple[Project, int], retrained: Retrained
):
    project, port = running
    first, _ = runs_of(port, "retrain/tiny-digits")
    (training,) = runs_of(port, "train/tiny-digits")
    told = retrained.joined.stdout
    page = f"http://127.0.0.1:{port}/runs/flow-run"
    logging = "train     tiny-digits: logging the model\n"
    assert f"  {logging}" in told
    assert (project.root / ".atelier/logs/gpu-worker.log").read_text().count(logging) == 1
    assert re.search(rf"train tiny-digits.*: running  {page}/{training['id']}", told)
    assert f"{training['name']}: done  {page}/{training['id']}" in told
    assert f"retrain tiny-digits: version 1 promoted, all 1 rules hold  {page}/{first['id']}" in told
    assert [line for line in told.splitlines() if re.search("(dataset|train|evaluate|promote) +done +[0-9]", line)]
    assert f"http://127.0.0.1:{port + 1}/#/models/tiny-digits/versions/1" in told


def test_a_trigger_delivered_twice_retrains_once(running: tuple[Project, int], retrained: Retrained):
    _, port = running
    both = runs_of(port, "retrain/tiny-digits")
    histories = [ask(port, "GET", f"flow_run_states/?flow_run_id={row['id']}").json() for row in both]
    assert [history[-1]["name"] for history in histories] == ["Completed", "Completed"]
    assert "AwaitingConcurrencySlot" in {state["name"] for state in histories[1]}
    times = [[state["timestamp"] for state in history if state["name"] in WORKING] for history in histories]
    assert max(times[0]) < min(times[1]), "they ran side by side"
    assert retrained.second["state"]["message"] == "nothing new; version 1 is champion"
    assert [retrained.second["labels"][f"atelier.{stage}.skipped"] for stage in STAGES] == [True] * 4
    assert len(runs_of(port, "train/tiny-digits")) == 1


@pytest.mark.usefixtures("retrained")
def test_only_what_another_pool_serves_leaves_the_process_of_the_parent(running: tuple[Project, int]):
    _, port = running
    first, _ = runs_of(port, "retrain/tiny-digits")
    stages = api(port, "flow_runs", {"flow_runs": {"parent_flow_run_id": {"any_": [first["id"]]}}})
    assert {row["name"].partition(" ")[0]: row["work_pool_name"] for row in stages} == {
        "dataset": None,
        "train": "gpu",
        "evaluate": None,
        "promote": None,
    }
    assert all(row["state_type"] == "COMPLETED" for row in stages)
    assert all(set(row["tags"]) == {"atelier", "model:tiny-digits", "dataset:tiny"} for row in stages)


@pytest.mark.usefixtures("retrained")
def test_a_person_finds_a_retrain_and_what_it_decided_in_prefect(running: tuple[Project, int]):
    _, port = running
    first, _ = runs_of(port, "retrain/tiny-digits")
    assert set(first["tags"]) == {"atelier", "model:tiny-digits", "dataset:tiny", "decision:promoted"}
    assert first["state"]["message"] == "version 1 promoted, all 1 rules hold"
    artifacts = {row["key"]: row["data"] for row in api(port, "artifacts") if row["flow_run_id"] == first["id"]}
    summary = artifacts["retrain-tiny-digits"]
    assert [row.split(" | ")[:2] for row in summary.splitlines()[4:8]] == [[f"| {stage}", "done"] for stage in STAGES]
    assert summary.count(f"http://127.0.0.1:{port + 1}/#/runs/") == 4
    assert f"http://127.0.0.1:{port + 1}/#/models/tiny-digits/versions/1" in summary
    stages = {row["key"] for row in api(port, "artifacts")}
    assert {"dataset-tiny", "train-tiny-digits", "evaluate-tiny-digits", "promote-tiny-digits"} <= stages


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
