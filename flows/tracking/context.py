"""What a stage works with: the environment, one model's config, MLflow; and its run there."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from prefect.exceptions import TerminationSignal

from flows.config.model_config import ModelConfig, read_model_config
from flows.config.settings import Settings
from flows.runtime.prefect_runs import flow_run_id, leave_artifact
from flows.runtime.progress import echo
from flows.runtime.records import Record, Stage
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking

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
        ctx.tracking.fail(run_id, _reason(error))
        raise


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt | TerminationSignal):
        how = "Ctrl-C" if isinstance(error, KeyboardInterrupt) else "SIGTERM, as when its worker is stopped"
        return f"it was stopped by {how}; the next attempt goes on where it was"
    return str(error) or type(error).__name__


def skip(ctx: StageContext, record: AnyRecord, stage: Stage, name: str, what: str) -> AnyRecord:
    """Tell that a stage has nothing to do, and return the record of when it was done."""
    echo(f"{stage:<9} {name}: nothing new, {what}")
    publish(ctx, stage, name, record.run_id, f"**Nothing new.** {what[0].upper()}{what[1:]}.")
    return record.model_copy(update={"skipped": True, "seconds": ctx.seconds})


def publish(ctx: StageContext, stage: Stage, name: str, run_id: str, text: str) -> None:
    """Leave an artifact on the flow run that says what the stage did, with the way to the MLflow run."""
    where = f"MLflow run `{run_id}`"
    page = ctx.settings.mlflow_ui or (ctx.tracking.uri if ctx.tracking.is_server else None)
    if page:
        where = f"[{where}]({page}/#/runs/{run_id})"
    leave_artifact(f"{stage}-{name}", f"{text}\n\n{where}", description=stage)
