"""Deployments in Prefect: which there is of a model, a run of it on a worker, and why a run waits."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import FlowRun, WorkPool, WorkPoolStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelling
from prefect.utilities.urls import url_for

from flows.runtime.errors import StageError
from flows.runtime.progress import echo

TAG = "atelier"  # of our deployments and of their runs: other projects on a server may have flows of the same names
PAGE = 200  # what a Prefect server gives at once
POLL_SECONDS = 1.0
PATIENCE = timedelta(seconds=5)  # with a worker that asks its server every few seconds, or has just been started
REST = timedelta(minutes=1)  # after a crash, in which an automation begins the run again


def find_deployment(flow: str, model: str, config: str) -> DeploymentResponse:
    """Return the deployment of a flow for a model.

    Raises:
        StageError: there is none.
    """
    with get_client(sync_client=True) as client:
        try:
            return client.read_deployment_by_name(f"{flow}/{model}")
        except ObjectNotFound:
            raise StageError(
                f"the Prefect server at {client.api_url} has no deployment `{flow}/{model}`; "
                f"make it with `atelier deploy {config}`"
            ) from None


def our_deployments(client: SyncPrefectClient) -> Iterator[DeploymentResponse]:
    """Yield the deployments that `atelier deploy` has made."""
    ours, offset = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG])), 0
    while page := client.read_deployments(deployment_filter=ours, limit=PAGE, offset=offset):
        yield from page
        offset += len(page)


def own_work_pool() -> str | None:
    """Return the work pool that the current flow run came to its worker from, None where no worker runs it."""
    if not flow_run.id:
        return None
    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(flow_run.id)).work_pool_name


def run_on_worker(
    deployment: str, parameters: Mapping[str, Any], key: str, timeout_seconds: float, tags: Iterable[str] = ()
) -> FlowRun:
    """Run a deployment as a child of the current flow run, on a worker of its pool, and wait for its end.

    A current flow run that is a retry takes up what it had submitted: a run that lives is waited for, one that
    completed is the answer; only after one that failed another is submitted.

    Args:
        deployment: its name, such as `train/digits-generator`.
        key: tells the call from others of the current flow run.

    Raises:
        StageError: it ended in any state but Completed, or did not end in time.
    """
    keys = (f"{flow_run.id}:{key}:{number}" for number in itertools.count(1))
    attempts = (_submit(deployment, parameters, each, list(tags)) for each in keys)
    submitted = next(run for run in attempts if is_completed(run) or not has_ended(run))
    try:
        run = _wait(submitted, timeout_seconds)
    except BaseException:
        _cancel_with_parent(submitted)
        raise
    state, link = run.state, url_for(run)
    if state is None or not has_ended(run):
        raise StageError(f"'{run.name}' has not ended in {timeout_seconds / 60:g} minutes, and goes on: {link}")
    if not state.is_completed():
        raise StageError(f"'{run.name}' ended as {state.name}: {state.message or 'its log says why'} ({link})")
    return run


def why_it_waits(client: SyncPrefectClient, run: FlowRun) -> str:
    """Return what a run that is to start now waits for."""
    if run.state and run.state.name == "AwaitingConcurrencySlot":
        return "waits for an earlier run of the same model to end"
    is_late = run.estimated_start_time_delta > PATIENCE
    trouble = trouble_of(run.work_pool_name, find_pool(client, run.work_pool_name)) if is_late else ""
    return trouble or f"waits for a worker of pool {run.work_pool_name}"


def has_ended(run: FlowRun) -> bool:
    """Return whether a run has come to its end: one that crashed a moment ago may be begun again."""
    state = run.state
    if state is None or not state.is_final():
        return False
    return not state.is_crashed() or datetime.now(UTC) - state.timestamp > REST


@contextmanager
def server_may_restart() -> Iterator[None]:
    """Pass over a server that does not answer or answers that it cannot: runs on workers go on without it."""
    try:
        yield
    except httpx.TransportError:
        return
    except httpx.HTTPStatusError as error:
        if error.response.is_client_error:
            raise


def find_pool(client: SyncPrefectClient, name: str | None) -> WorkPool | None:
    """Return a work pool, None where there is none of this name."""
    try:
        return client.read_work_pool(name) if name else None
    except ObjectNotFound:
        return None


def trouble_of(name: str | None, pool: WorkPool | None) -> str:
    """Return why runs of a work pool don't start, empty where they do."""
    if pool is None:
        return f"there is no work pool {name}; `atelier deploy` makes it"
    if pool.is_paused:
        return f"work pool {name} is paused; `prefect work-pool resume {name}` lets it go on"
    if pool.status == WorkPoolStatus.NOT_READY:
        return f"no worker polls pool {name}; start one with `atelier worker --pool {name}`"
    return ""


def is_completed(run: FlowRun) -> bool:
    """Return whether a run has come to a good end."""
    return run.state is not None and run.state.is_completed()


def _submit(deployment: str, parameters: Mapping[str, Any], key: str, tags: list[str]) -> FlowRun:
    """Return the run of a deployment that was submitted with a key, now or before."""
    run = run_deployment(
        deployment,
        parameters=dict(parameters),
        flow_run_name=deployment.replace("/", " "),
        tags=tags,
        idempotency_key=key,
        timeout=0,
    )
    assert isinstance(run, FlowRun)
    return run


def _wait(run: FlowRun, timeout_seconds: float) -> FlowRun:
    """Return a run when it has ended or the time is over, telling once for each reason why it has not begun."""
    told, end = "", monotonic() + timeout_seconds
    with get_client(sync_client=True) as client:
        while monotonic() < end:
            with server_may_restart():
                run = client.read_flow_run(run.id)
                if has_ended(run):
                    break
                reason = why_it_waits(client, run) if run.state and run.state.is_scheduled() else ""
                if reason and reason != told:
                    echo(f"waiting   {run.name}: {reason}")
                    told = reason
            sleep(POLL_SECONDS)
    return run


def _cancel_with_parent(child: FlowRun) -> None:
    """Cancel a child if a person has cancelled its parent; if the parent was only stopped, its retry takes it up."""
    with get_client(sync_client=True) as client:
        parent = client.read_flow_run(UUID(flow_run.id))
        if parent.state and (parent.state.is_cancelling() or parent.state.is_cancelled()):
            client.set_flow_run_state(child.id, Cancelling())
