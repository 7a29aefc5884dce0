"""`atelier retrain --on-workers`: a run of the model's deployment is submitted, or joined, and followed to its end."""

import importlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from shlex import quote
from time import sleep
from typing import Any, get_args
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, LogFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort, LogSort
from prefect.utilities.urls import url_for

from flows.config.model_config import read_model_config
from flows.config.settings import Settings
from flows.runtime.deployments import (
    POLL_SECONDS,
    find_deployment,
    has_ended,
    is_completed,
    server_may_restart,
    why_it_waits,
)
from flows.runtime.progress import print_plain
from flows.runtime.records import DatasetVersion, Evaluation, Promotion, Retraining, Stage, TrainingRun
from flows.tracking.context import record_left
from flows.tracking.runs import Tracking
from gan_models.errors import AtelierError

SOON = timedelta(minutes=1)  # a run that is planned for no later is one that is to start now
NUM_LINES = 50  # of logs that are looked at each time


class RetrainOnWorkersError(AtelierError):
    """Retrains on workers that did not come to a good end; the message says which, why, and where to look."""


@dataclass(frozen=True)
class OnWorkers:
    """Retrains on workers that have ended, in the order in which they were asked for."""

    runs: list[FlowRun]

    def left(self) -> list[Retraining]:
        """Return what those have left that were completed.

        Raises:
            StageError: the MLflow that is set here does not have it.
        """
        tracking = Tracking(Settings())
        return [
            (
                record_left(tracking, DatasetVersion, "dataset", run),
                record_left(tracking, TrainingRun, "train", run),
                record_left(tracking, Evaluation, "evaluate", run),
                record_left(tracking, Promotion, "promote", run),
            )
            for run in self.runs
            if is_completed(run)
        ]

    def check(self) -> None:
        """Raise a RetrainOnWorkersError if one of them was not completed."""
        failed = [f"'{run.name}' {_how_it_ended(run)} ({url_for(run)})" for run in self.runs if not is_completed(run)]
        if failed:
            raise RetrainOnWorkersError("; ".join(failed))


def retrain_on_workers(configs: Sequence[str]) -> OnWorkers:
    """Retrain models on workers, all at once, and show how they get on until all have ended.

    Args:
        configs: files, relative to the project.

    Raises:
        StageError: there is no deployment for a model; nothing is submitted then.
        RetrainOnWorkersError: a flow run was deleted.
    """
    deployments = [_deployment(config) for config in configs]
    runs: list[FlowRun] = []
    with get_client(sync_client=True) as client:
        try:
            runs += (_submit_or_join(client, *each) for each in zip(deployments, configs, strict=True))
            # What a summary is read with takes seconds to import: better while the workers work.
            threading.Thread(target=importlib.import_module, args=("mlflow",), daemon=True).start()
            return OnWorkers(_Followed(client, runs).to_their_end())
        except KeyboardInterrupt:
            if not runs:
                raise
            raise SystemExit(_still_running(runs, configs)) from None


def _deployment(config: str) -> DeploymentResponse:
    return find_deployment("retrain", read_model_config(Settings().root / config).name, config)


def _submit_or_join(client: SyncPrefectClient, deployment: DeploymentResponse, config: str) -> FlowRun:
    """Return a run of the deployment that has not ended: one that is to start now or has begun, or else a new one."""
    condition = {
        "deployment_id": {"any_": [deployment.id]},
        "state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}},
        "expected_start_time": {"before_": datetime.now(UTC) + SOON},
    }
    live = client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate(condition), sort=FlowRunSort.EXPECTED_START_TIME_DESC
    )
    name = f"retrain {deployment.name}"
    same = [run for run in live if run.parameters.get("config") == config]
    if same:  # the last of them: one that waits will see what has changed since another began
        print_plain(f"{name} is under way already, and is joined: {url_for(same[0])}")
        return same[0]
    return client.create_flow_run_from_deployment(
        deployment.id, parameters={"config": config, "remote": True}, name=name
    )


class _Followed:
    """Retrains on workers, and what a person was told of them and of their stages."""

    def __init__(self, client: SyncPrefectClient, runs: Sequence[FlowRun]) -> None:
        self._client = client
        self._ids = [run.id for run in runs]
        self._told: dict[UUID, str] = {}
        self._lines: set[UUID] = set()
        self._is_first = True

    def to_their_end(self) -> list[FlowRun]:
        """Print what changes until all of them have ended; in the order they were given."""
        while True:
            with server_may_restart():
                parents = {run.id: run for run in self._read({"id": {"any_": self._ids}})}
                stages = self._read({"parent_flow_run_id": {"any_": self._ids}})
                for run in [*stages, *parents.values()]:
                    self._tell(run)
                self._tell_log([*stages, *parents.values()])
                if len(parents) < len(self._ids):
                    raise RetrainOnWorkersError("its flow run is no longer there: it was deleted on the Prefect server")
                if all(map(has_ended, parents.values())):
                    return [parents[run_id] for run_id in self._ids]
            sleep(POLL_SECONDS)

    def _read(self, condition: dict[str, Any]) -> list[FlowRun]:
        found = FlowRunFilter.model_validate(condition)
        return self._client.read_flow_runs(flow_run_filter=found, sort=FlowRunSort.EXPECTED_START_TIME_ASC)

    def _tell(self, run: FlowRun) -> None:
        if run.state_type == StateType.PENDING and not run.work_pool_name:
            return  # a stage that the parent is about to run itself
        now = _in_words(self._client, run)
        if self._told.get(run.id) != now:
            self._told[run.id] = now
            print_plain(f"{run.name}: {now}  {url_for(run)}")

    def _tell_log(self, runs: Sequence[FlowRun]) -> None:
        """Print what stages have told since, which is how far they are; what Prefect tells is left out.

        The times of lines are of the clocks of workers, and say nothing to that of this machine, or to each other.
        """
        for run in runs:
            wanted = LogFilter.model_validate({"flow_run_id": {"any_": [run.id]}})
            lines = self._client.read_logs(wanted, limit=NUM_LINES, sort=LogSort.TIMESTAMP_DESC)
            for line in reversed(lines):
                if line.id not in self._lines and line.message.startswith(get_args(Stage)) and not self._is_first:
                    print_plain(f"  {line.message}")
                self._lines.add(line.id)
        self._is_first = False


def _in_words(client: SyncPrefectClient, run: FlowRun) -> str:
    """Return what a run does or waits for, or how it ended."""
    state = run.state
    if state is None or state.is_scheduled():
        return why_it_waits(client, run)
    if state.is_pending():
        return "is being started by a worker"
    if not state.is_final():
        return str(state.name).lower()
    skipped = any(value for name, value in run.labels.items() if name.endswith(".skipped"))
    if state.is_completed():
        return state.message or ("skipped, nothing new" if skipped else "done")
    return _how_it_ended(run)


def _how_it_ended(run: FlowRun) -> str:
    message = run.state.message if run.state else None
    return f"{run.state_name}: {message}" if message else str(run.state_name)


def _still_running(runs: Sequence[FlowRun], configs: Sequence[str]) -> str:
    """Return what a person should know who has stopped to look on."""
    cancel = " && ".join(f"prefect flow-run cancel {run.id}" for run in runs)
    links = ", ".join(str(url_for(run)) for run in runs)
    again = " ".join(quote(config) for config in configs)
    return (
        f"the workers go on: {links}\n"
        f"cancel with `{cancel}`, or look on again with `atelier retrain {again} --on-workers`"
    )
