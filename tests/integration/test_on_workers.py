"""Runs on workers: submitted once, joined, cancelled with their parent, and told of where nobody takes them up."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import LogCreate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.runtime import flow_run
from prefect.states import Cancelling, Completed, Failed, Scheduled

from flows.cli import on_workers
from flows.cli.on_workers import RetrainOnWorkersError, retrain_on_workers
from flows.retrain import retrain
from flows.runtime import deployments
from flows.runtime.deployments import find_deployment, run_on_worker, why_it_waits
from flows.runtime.errors import StageError
from flows.runtime.records import Evaluation, TrainingRun
from flows.sources.base import SourceError
from flows.tracking.context import record_left
from flows.tracking.runs import Tracking
from tests.support.checked import present
from tests.support.project import Project

pytestmark = pytest.mark.usefixtures("prefect_server")


class Deployment(NamedTuple):
    model: str
    id: UUID

    def ask(self, timeout_seconds: float = 0) -> FlowRun:
        return run_on_worker(f"stage/{self.model}", {}, key="stage", timeout_seconds=timeout_seconds)


@flow(name="stage")
def stage() -> None: ...


@flow(name="retrain")
def of_a_model(config: str, remote: bool) -> None: ...


@flow(name="parent")
def parent(ask: Callable[[], FlowRun]) -> None:
    ask()


@pytest.fixture
def deployment() -> Deployment:
    """A new deployment in a new work pool that no worker serves."""
    model = f"model-{uuid4()}"
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=model, type="process"))
        return Deployment(model, client.create_deployment(client.create_flow(stage), model, work_pool_name=model))


@pytest.fixture
def deployed(project: Project, deployment: Deployment) -> Deployment:
    """The `retrain` deployment of the project's model."""
    config = project.root / project.config
    config.write_text(config.read_text().replace("tiny-digits", deployment.model))
    with get_client(sync_client=True) as client:
        of_it = client.create_deployment(
            client.create_flow(of_a_model), deployment.model, work_pool_name=deployment.model
        )
    return Deployment(deployment.model, of_it)


@pytest.fixture(autouse=True)
def _without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "PATIENCE", timedelta(days=-1))


def stop_here(_: float) -> None:
    raise KeyboardInterrupt


def submitted(deployment: Deployment) -> list[FlowRun]:
    condition = FlowRunFilter.model_validate({"deployment_id": {"any_": [deployment.id]}})
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(flow_run_filter=condition)


def set_state(run: FlowRun, state: State) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, state, force=True)


def test_a_model_without_a_deployment_is_refused_with_the_command_that_makes_it():
    with pytest.raises(StageError) as refused:
        find_deployment("retrain", "unheard-of", "x.yaml")
    assert str(refused.value).endswith("no deployment `retrain/unheard-of`; make it with `atelier deploy x.yaml`")


def test_a_parent_that_is_begun_again_takes_up_the_run_that_lives_and_submits_another_after_one_that_failed(
    deployment: Deployment,
):
    def asked_again_and_again() -> FlowRun:
        for _ in range(2):
            with pytest.raises(StageError, match="has not ended in 0 minutes, and goes on: http"):
                deployment.ask()
        (first,) = submitted(deployment)
        set_state(first, Failed(message="out of memory"))
        with pytest.raises(StageError, match="has not ended"):
            deployment.ask()
        (second,) = [run for run in submitted(deployment) if run.id != first.id]
        set_state(second, Completed())
        assert deployment.ask(60).id == second.id
        return second

    parent(asked_again_and_again)
    assert len(submitted(deployment)) == 2


def test_a_run_that_fails_is_told_with_its_reason_and_the_way_to_it(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
):
    fail = lambda _: set_state(submitted(deployment)[0], Failed(message="out of memory"))  # noqa: E731
    monkeypatch.setattr(deployments, "sleep", fail)
    with pytest.raises(StageError, match=r"'stage model-.*' ended as Failed: out of memory \(http.*/runs/flow-run/"):
        parent(lambda: deployment.ask(60))


@pytest.mark.parametrize("state", ["CANCELLING", "RUNNING"])
def test_a_run_is_cancelled_with_its_parent_and_goes_on_where_the_parent_is_only_stopped(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, state: str
):
    def stop(_: float) -> None:
        if state == "CANCELLING":
            with get_client(sync_client=True) as client:
                client.set_flow_run_state(UUID(flow_run.id), Cancelling(), force=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(deployments, "sleep", stop)
    with pytest.raises(KeyboardInterrupt):
        parent(lambda: deployment.ask(60))
    (child,) = submitted(deployment)
    assert present(child.state).type == ("CANCELLED" if state == "CANCELLING" else "SCHEDULED")


def test_it_is_told_what_a_run_waits_for(deployment: Deployment):
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deployment.id)
        pool = present(run.work_pool_name)
        assert why_it_waits(client, run) == (
            f"no worker polls pool {pool}; start one with `atelier worker --pool {pool}`"
        )
        client.update_work_pool(pool, WorkPoolUpdate(is_paused=True))
        assert why_it_waits(client, run).startswith(f"work pool {pool} is paused")


@pytest.mark.parametrize("remote", [False, True])
def test_the_state_of_a_retrain_that_failed_is_the_sentence_of_what_failed(project: Project, remote: bool):
    project.edit("dataset", sources=["nowhere"])
    with pytest.raises((SourceError, StageError)) as failed:
        retrain(project.config, remote)
    state = retrain(project.config, remote, return_state=True)
    assert state.is_failed()
    assert state.message == str(failed.value)


def test_whoever_stops_looking_on_again_and_again_has_submitted_one_run(
    project: Project, deployed: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(on_workers, "sleep", stop_here)
    for _ in range(3):
        with pytest.raises(SystemExit) as stopped:
            retrain_on_workers([project.config])
        assert "the workers go on: http" in str(stopped.value)
    (run,) = submitted(deployed)
    assert f"prefect flow-run cancel {run.id}" in str(stopped.value)
    assert capsys.readouterr().out.count(f"retrain {deployed.model} is under way already, and is joined") == 2


def test_a_run_of_next_week_is_not_joined(project: Project, deployed: Deployment, monkeypatch: pytest.MonkeyPatch):
    with get_client(sync_client=True) as client:
        planned = client.create_flow_run_from_deployment(
            deployed.id,
            parameters={"config": project.config},
            state=Scheduled(scheduled_time=datetime.now(UTC) + timedelta(days=7)),
        )
    monkeypatch.setattr(on_workers, "sleep", stop_here)
    with pytest.raises(SystemExit):
        retrain_on_workers([project.config])
    (submitted_now,) = [run for run in submitted(deployed) if run.id != planned.id]
    assert submitted_now.parameters == {"config": project.config, "remote": True}


def test_nothing_is_submitted_where_one_of_several_models_has_no_deployment(project: Project, deployed: Deployment):
    other = project.root / "configs/other.yaml"
    other.write_text((project.root / project.config).read_text().replace(deployed.model, "unheard-of"))
    with pytest.raises(StageError, match="no deployment `retrain/unheard-of`"):
        retrain_on_workers([project.config, "configs/other.yaml"])
    assert submitted(deployed) == []


def test_a_retrain_that_failed_on_the_workers_fails_the_command_with_its_sentence(
    project: Project, deployed: Deployment, monkeypatch: pytest.MonkeyPatch
):
    fail = lambda _: set_state(submitted(deployed)[0], Failed(message="there is no such source"))  # noqa: E731
    monkeypatch.setattr(on_workers, "sleep", fail)
    ended = retrain_on_workers([project.config])
    assert ended.left() == []
    with pytest.raises(RetrainOnWorkersError, match=r"Failed: there is no such source \(http.*/runs/flow-run/"):
        ended.check()


def test_what_a_worker_tells_is_shown_though_its_clock_is_behind_and_what_it_told_before_is_not(
    project: Project, deployed: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def tell(message: str) -> None:
        when, (run,) = datetime.now(UTC) - timedelta(hours=1), submitted(deployed)
        line = LogCreate(name="x", level=20, message=message, timestamp=when, flow_run_id=run.id, task_run_id=None)
        with get_client(sync_client=True) as client:
            client.create_logs([line])

    monkeypatch.setattr(on_workers, "sleep", stop_here)
    with pytest.raises(SystemExit):
        retrain_on_workers([project.config])
    tell("train     before it was joined")
    then = iter(
        [
            lambda: tell("train     on a slow clock"),
            lambda: set_state(submitted(deployed)[0], Failed(message="there is no such source")),
        ]
    )
    monkeypatch.setattr(on_workers, "sleep", lambda _: next(then)())
    retrain_on_workers([project.config])
    told = capsys.readouterr().out
    assert "  train     on a slow clock" in told
    assert "before it was joined" not in told


def test_a_run_that_was_deleted_meanwhile_is_told(
    project: Project, deployed: Deployment, monkeypatch: pytest.MonkeyPatch
):
    def delete(_: float) -> None:
        with get_client(sync_client=True) as client:
            client.delete_flow_run(submitted(deployed)[0].id)

    monkeypatch.setattr(on_workers, "sleep", delete)
    with pytest.raises(RetrainOnWorkersError, match="it was deleted"):
        retrain_on_workers([project.config])


def test_records_that_are_in_another_mlflow_are_told_with_the_variable_to_set(tracking: Tracking):
    run = FlowRun(flow_id=uuid4(), name="train x", labels={"atelier.train.run_id": "0" * 32})
    with pytest.raises(StageError, match="set MLFLOW_TRACKING_URI to the server of the workers"):
        record_left(tracking, TrainingRun, "train", run)
    with pytest.raises(StageError, match="without saying which MLflow run holds its record"):
        record_left(tracking, Evaluation, "evaluate", run)
