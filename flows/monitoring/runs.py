"""What the Prefect server knows of the runs of each deployment, such as `train/digits-generator`."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort

from flows.monitoring.gauges import Values
from flows.runtime.deployments import PAGE, TAG, our_deployments

NUM_WAITING = 50  # runs of a deployment that are looked at: the scheduler plans a few ahead
FAILED = ("FAILED", "CRASHED")


def run_values() -> Values:
    """Return the metrics of the runs of each deployment, and of the same stage within a retrain of its model."""
    values, now = Values(), datetime.now(UTC)
    with get_client(sync_client=True) as client:
        running = Counter(run.deployment_id for run in _every(client, "RUNNING"))
        failed = Counter(
            (run.deployment_id, run.state_type.value.capitalize())
            for run in _every(client, *FAILED, end_time={"after_": now - timedelta(days=1)})
            if run.state_type
        )
        flow = cache(client.read_flow)
        for deployment in our_deployments(client):
            labels = {"stage": flow(deployment.flow_id).name, "model": deployment.name}
            values.add("atelier_running_runs", running[deployment.id], **labels)
            for state in map(str.capitalize, FAILED):
                values.add("atelier_failed_runs", failed[deployment.id, state], state=state, **labels)
            _add_waiting(values, _runs(client, deployment, ["SCHEDULED", "PENDING"]), deployment, labels, now)
            _add_last(values, client, deployment, labels)
    return values


def _add_waiting(
    values: Values, runs: list[FlowRun], deployment: DeploymentResponse, labels: dict[str, str], now: datetime
) -> None:
    times = sorted(time for run in runs if (time := _due(run)))
    due = [time for time in times if time <= now]
    pool = deployment.work_pool_name or ""
    values.add("atelier_waiting_runs", len(due), pool=pool, **labels)
    values.add("atelier_queue_age_seconds", (now - due[0]).total_seconds() if due else 0, pool=pool, **labels)
    gaps = [later - earlier for earlier, later in pairwise(time for time in times if time > now)]
    if gaps:
        values.add("atelier_schedule_seconds", max(gaps).total_seconds(), **labels)


def _due(run: FlowRun) -> datetime | None:
    """Return when a run should begin: one that is begun again, when it was queued for that."""
    return run.next_scheduled_start_time if run.run_count else run.expected_start_time


def _add_last(
    values: Values, client: SyncPrefectClient, deployment: DeploymentResponse, labels: dict[str, str]
) -> None:
    ended = _last(client, deployment, labels, "COMPLETED", *FAILED)
    if not ended:
        return
    values.add("atelier_last_run_failed", ended.state_type != "COMPLETED", **labels)
    values.add("atelier_last_run_seconds", ended.total_run_time.total_seconds(), **labels)
    completed = _last(client, deployment, labels, "COMPLETED")
    if completed and completed.end_time:
        values.add("atelier_last_success_timestamp_seconds", completed.end_time.timestamp(), **labels)


def _last(
    client: SyncPrefectClient, deployment: DeploymentResponse, labels: dict[str, str], *types: str
) -> FlowRun | None:
    """Return the run that ended last: of the deployment, or within a retrain of the model, which has a tag for it."""
    of_model = {"tags": {"all_": [TAG, f"model:{labels['model']}"]}, "state": {"type": {"any_": types}}}
    within = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[labels["stage"]])),
        flow_run_filter=FlowRunFilter.model_validate(of_model),
        sort=FlowRunSort.END_TIME_DESC,
        limit=1,
    )
    alone = _runs(client, deployment, list(types), sort=FlowRunSort.END_TIME_DESC, limit=1)
    return max([*within, *alone], key=lambda run: run.end_time or datetime.min.replace(tzinfo=UTC), default=None)


def _runs(
    client: SyncPrefectClient,
    deployment: DeploymentResponse,
    types: list[str],
    sort: FlowRunSort = FlowRunSort.EXPECTED_START_TIME_ASC,
    limit: int = NUM_WAITING,
) -> list[FlowRun]:
    chosen = {"deployment_id": {"any_": [deployment.id]}, "state": {"type": {"any_": types}}}
    return client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(chosen), sort=sort, limit=limit)


def _every(client: SyncPrefectClient, *types: str, **criteria: Any) -> Iterator[FlowRun]:  # noqa: ANN401
    chosen = FlowRunFilter.model_validate({"state": {"type": {"any_": types}}, **criteria})
    offset = 0
    while page := client.read_flow_runs(flow_run_filter=chosen, limit=PAGE, offset=offset):
        yield from page
        offset += len(page)
