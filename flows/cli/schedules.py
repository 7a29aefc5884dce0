"""When each model runs next, as the Prefect server has it: planned runs, not schedules that could plan some."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId, FlowRunFilter
from prefect.client.schemas.objects import DeploymentSchedule, FlowRun, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort

from flows.config.settings import Settings
from flows.runtime.deployments import PAGE, find_pool, our_deployments, trouble_of

WAITING = FlowRunFilter.model_validate({"state": {"type": {"any_": ["SCHEDULED"]}}})


@dataclass(frozen=True)
class Schedule:
    """When a model's flow runs by itself. `next_run` is None where no run waits, and `trouble` or `off` why."""

    config: str
    flow: str
    next_run: datetime | None = None
    off: str = ""
    trouble: str = ""

    def __str__(self) -> str:
        """Return it as `atelier doctor` shows it."""
        when = f" {self.next_run:%Y-%m-%d %H:%M} UTC" if self.next_run else ""
        why = f" ({self.trouble or self.off})" if self.trouble or self.off else ""
        return f"{self.flow}{when}{why}"


def read_schedules() -> list[Schedule]:
    """Return every schedule of our deployments on the Prefect server of the environment."""
    with get_client(sync_client=True) as client:
        flow, pool = cache(client.read_flow), cache(partial(find_pool, client))
        return [
            _schedule(schedule, flow(deployment.flow_id).name, deployment, runs, pool(deployment.work_pool_name))
            for deployment in our_deployments(client)
            for runs in [_waiting_runs(client, deployment)]
            for schedule in deployment.schedules
        ]


def lines_of(settings: Settings, schedules: list[Schedule]) -> list[str]:
    """Return a line for each model: its schedules, or that it has none and what to do."""
    in_project = [file.relative_to(settings.root).as_posix() for file in settings.root.glob("configs/*.yaml")]
    lines = []
    for config in sorted({*in_project, *(schedule.config for schedule in schedules)}):
        own = [str(schedule) for schedule in schedules if schedule.config == config]
        none = "never: no schedule names it; add one to prefect.yaml and run `atelier deploy`"
        lines.append(f"{config}: {', '.join(own) or none}")
    return lines


def _schedule(
    schedule: DeploymentSchedule, flow: str, deployment: DeploymentResponse, runs: list[FlowRun], pool: WorkPool | None
) -> Schedule:
    config = str({**deployment.parameters, **schedule.parameters}.get("config", "no config"))
    if deployment.paused:
        return Schedule(config, flow, off="the deployment is paused")
    if not schedule.active:
        return Schedule(config, flow, off="switched off")
    own = [run for run in runs if run.created_by and run.created_by.id == schedule.id]
    if not own:
        return Schedule(config, flow, trouble="no run is planned: the server's log says why")
    return Schedule(config, flow, own[0].expected_start_time, trouble=_why_not(deployment, own[0], pool))


def _why_not(deployment: DeploymentResponse, run: FlowRun, pool: WorkPool | None) -> str:
    """Return why a planned run would not start, empty where it would."""
    late = "late: its workers are busy" if run.state and run.state.name == "Late" else ""
    return trouble_of(deployment.work_pool_name, pool) or late


def _waiting_runs(client: SyncPrefectClient, deployment: DeploymentResponse) -> list[FlowRun]:
    """Return the scheduled runs of a deployment, the next one first: never more than the scheduler plans ahead."""
    return client.read_flow_runs(
        flow_run_filter=WAITING,
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
        limit=PAGE,
    )
