"""What every stage shares: its names, its MLflow run, its artifact in Prefect, and being called as a deployment."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.runtime import flow_run

from flows.config.model_config import ModelConfig, read_model_config
from flows.config.settings import Settings
from flows.runtime.progress import say
from flows.runtime.records import Record, Stage
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking

AnyRecord = TypeVar("AnyRecord", bound=Record)


class StageError(RuntimeError):
    """A stage could not do its work; the message is one sentence with the cause and the remedy."""


@dataclass(frozen=True)
class Workplace:
    """What a stage works with: the environment, one model's config, MLflow."""

    settings: Settings
    model: ModelConfig
    tracking: Tracking
    registry: Registry
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since the stage began."""
        return round(time.monotonic() - self.started, 1)


def enter(config: str) -> Workplace:
    """The workplace of a config file, given relative to the project or absolute.

    Raises:
        ConfigError: the config cannot be used.
        TrackingError: the MLflow server does not answer.
    """
    settings = Settings()
    settings.apply()
    model = read_model_config(settings.root / config if not Path(config).is_absolute() else Path(config))
    tracking = Tracking(settings)
    tracking.check()
    return Workplace(settings, model, tracking, Registry(tracking))


def name_flow_run(name: str) -> None:
    """Give the current flow run a name that says what it is about, such as `train digits-generator 1a2b3c4`."""
    if flow_run.id:
        with get_client(sync_client=True) as client:
            client.update_flow_run(UUID(flow_run.id), name=name)


@contextmanager
def stage_run(
    place: Workplace, experiment: str, stage: Stage, fingerprint: str, *, subject: str, tags: Mapping[str, str | None]
) -> Iterator[str]:
    """An MLflow run for the work of a stage, taken up where an earlier attempt left it; failed if the body raises.

    Yields:
        The run's id. The body ends with `tracking.finish(record)`.
    """
    tags = {**tags, "prefect_flow_run": str(flow_run.id) if flow_run.id else None}
    run_id = place.tracking.open_run(experiment, stage, fingerprint, subject=subject, tags=tags)
    try:
        yield run_id
    except BaseException as error:
        place.tracking.fail(run_id, str(error) or type(error).__name__)
        raise


def skip(place: Workplace, record: AnyRecord, stage: Stage, subject: str, what: str) -> AnyRecord:
    """Say that a stage has nothing to do, and return the record of when it was done."""
    say(f"{stage:<9} {subject}: nothing new, {what}")
    publish(place, stage, subject, record.run_id, f"**Nothing new.** {what[0].upper()}{what[1:]}.")
    return record.model_copy(update={"skipped": True, "seconds": place.seconds})


def publish(place: Workplace, stage: Stage, subject: str, run_id: str, text: str) -> None:
    """Leave an artifact on the flow run that says what the stage did, with the way to the MLflow run."""
    if not flow_run.id:
        return
    where = f"MLflow run `{run_id}`"
    page = place.settings.mlflow_ui or (place.tracking.uri if place.tracking.is_server else None)
    if page:
        where = f"[{where}]({page}/#/runs/{run_id})"
    create_markdown_artifact(f"{text}\n\n{where}", key=f"{stage}-{subject}".replace("_", "-"), description=stage)


def call_deployment(
    stage: Stage,
    fingerprint: str,
    parameters: dict[str, Any],
    timeout_seconds: float,
    find: Callable[[], AnyRecord | None],
) -> AnyRecord:
    """Run a stage as a flow run of its own deployment and wait for it.

    The idempotency key makes a retried parent find the run it had submitted instead of submitting a second one.

    Args:
        find: reads the record that the stage leaves in MLflow.

    Raises:
        StageError: the flow run ended in any state but Completed, or left no record.
    """
    run = run_deployment(
        f"{stage}/{stage}",
        parameters=parameters,
        timeout=timeout_seconds,
        idempotency_key=f"{flow_run.id}:{stage}:{fingerprint}:{flow_run.run_count}",
    )
    assert isinstance(run, FlowRun)
    if run.state is None or not run.state.is_completed():
        state = run.state.name if run.state else "unknown"
        why = run.state.message if run.state and run.state.message else "see its log in the Prefect UI"
        raise StageError(f"stage {stage} ended as {state} in flow run '{run.name}': {why}")
    record = find()
    if record is None:
        raise StageError(f"stage {stage} completed in flow run '{run.name}' but left no finished run in MLflow")
    return record
