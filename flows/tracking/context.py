"""What a stage works with: the environment, one model's config, MLflow; and its run there."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import TerminationSignal

from flows.config.model_config import ModelConfig, read_model_config
from flows.config.settings import Settings
from flows.runtime.deadline import within
from flows.runtime.errors import StageError
from flows.runtime.grace import CLOSE_SECONDS
from flows.runtime.prefect_runs import flow_run_id, leave_artifact, leave_records
from flows.runtime.progress import echo
from flows.runtime.records import Record, Stage
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking
from gan_models.text import one_line

AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True)
class StageContext:
    """The environment, a model's config and MLflow, as one stage of one model needs them."""

    settings: Settings
    model: ModelConfig
    tracking: Tracking
    registry: Registry
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def open(cls, config: str) -> "StageContext":
        """Return the context of a config file, given relative to the project or absolute.

        Raises:
            ConfigError: the config cannot be used.
            TrackingError: the MLflow server does not answer.
        """
        settings = Settings()
        settings.apply()
        model = read_model_config(settings.root / config if not Path(config).is_absolute() else Path(config))
        tracking = Tracking(settings)
        tracking.check()
        return cls(settings, model, tracking, Registry(tracking))

    @property
    def seconds(self) -> float:
        """Return the seconds since the stage began."""
        return round(time.monotonic() - self.started, 1)


@contextmanager
def stage_run(
    ctx: StageContext, experiment: str, stage: Stage, fingerprint: str, *, name: str, tags: Mapping[str, str | None]
) -> Iterator[str]:
    """Open the MLflow run of a stage's work, taken up where an earlier attempt left it; failed if the body raises.

    Args:
        name: of the model or dataset that the stage works on.

    Yields:
        The run's id. The body ends with `tracking.finish(record)`.
    """
    tags = {**tags, "prefect_flow_run": flow_run_id()}
    run_id = ctx.tracking.open_run(experiment, stage, fingerprint, name=name, tags=tags)
    try:
        yield run_id
    except BaseException as error:
        close_failed(ctx.tracking, run_id, error, f"{stage:<9} {name}")
        raise


def close_failed(tracking: Tracking, run_id: str, error: BaseException, what: str) -> None:
    """Say on a run of MLflow why it failed, if MLflow takes that within some seconds: the error matters more.

    Args:
        what: was done, for the line that says that MLflow does not take it.
    """
    reason = _reason(error)
    try:
        within(CLOSE_SECONDS, lambda: tracking.fail(run_id, reason))
    except Exception as silence:  # whatever MLflow's client raises
        echo(f"{what}: MLflow could not be told that the run failed ({one_line(silence, 120)})")


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt | TerminationSignal):
        how = "Ctrl-C" if isinstance(error, KeyboardInterrupt) else "SIGTERM, as when its worker is stopped"
        return f"it was stopped by {how}; the next attempt goes on where it was"
    return str(error) or type(error).__name__


def skip(ctx: StageContext, record: AnyRecord, stage: Stage, name: str, what: str) -> AnyRecord:
    """Tell that a stage has nothing to do, and return the record of when it was done."""
    echo(f"{stage:<9} {name}: nothing new, {what}")
    skipped = record.model_copy(update={"skipped": True, "seconds": ctx.seconds})
    publish(ctx, stage, name, skipped, f"**Nothing new.** {what[0].upper()}{what[1:]}.")
    return skipped


def publish(ctx: StageContext, stage: Stage, name: str, record: Record, text: str) -> None:
    """Leave on the flow run what the stage did, with the way to the MLflow run, for a person and for the parent."""
    where = f"MLflow run `{record.run_id}`"
    if page := ctx.settings.mlflow_page:
        where = f"[{where}]({page}/#/runs/{record.run_id})"
    leave_artifact(f"{stage}-{name}", f"{text}\n\n{where}", description=stage)
    leave_records({stage: record})


def record_left(tracking: Tracking, kind: type[AnyRecord], stage: Stage, run: FlowRun) -> AnyRecord:
    """Return the record of a stage that a flow run names, whatever environment made it.

    Nothing is looked for by a fingerprint: who made the record may have had another PyTorch, or other code.

    Raises:
        StageError: the run names none, or this MLflow does not have it.
    """
    names = {name: run.labels.get(f"atelier.{stage}.{name}") for name in ("run_id", "skipped", "seconds")}
    if names["run_id"] is None:
        raise StageError(f"flow run '{run.name}' ended without saying which MLflow run holds its record")
    record = tracking.record(kind, str(names["run_id"]))
    if record is None:
        raise StageError(
            f"flow run '{run.name}' left its record in MLflow run {names['run_id']}, which {tracking.uri} does not "
            "have; set MLFLOW_TRACKING_URI to the server of the workers"
        )
    return record.model_copy(update={"skipped": names["skipped"], "seconds": names["seconds"]})
