"""A parent and its runs on workers: submitted once, cancelled with it, and told of where nobody takes them up."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.runtime import flow_run
from prefect.states import Cancelling, Completed, Failed

from flows.retrain import retrain
from flows.runtime import deployments
from flows.runtime.deployments import find_deployment, run_on_worker, why_it_waits
from flows.runtime.errors import StageError
from flows.sources.base import SourceError
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


@pytest.fixture(autouse=True)
def _without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "PATIENCE", timedelta(days=-1))


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
