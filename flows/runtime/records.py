"""What passes between stages: ids, never objects.

Every record is frozen and serializes to JSON: it is the result of a flow, a parameter of the next stage's deployment
(Prefect's UI shows it as a form), and a tag on the MLflow run it describes.
"""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from gan_models.evaluation.result import LeftOut, Slice

Stage = Literal["dataset", "train", "evaluate", "promote"]
RunKind = Stage | Literal["withdrawal"]  # what a run in MLflow is of


class Record(BaseModel):
    """Base of all records. `fingerprint` is the SHA-256 of everything that can change what the stage makes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    run_id: str
    skipped: bool = False
    seconds: float = 0.0


class DatasetVersion(Record):
    """One immutable version of a dataset. `dvc_md5` is what DVC finds it by, `content_digest` what is in it."""

    name: str
    content_digest: str
    dvc_md5: str
    git_commit: str | None
    num_train: int
    num_evaluation: int
    num_quarantined: int = 0


class TrainingRun(Record):
    """A finished training run and the model it logged. `bundle_digest`: SHA-256 of its bundle.json."""

    model_name: str
    logged_model_id: str
    recipe: str
    bundle_digest: str
    dataset: DatasetVersion


class MetricValue(BaseModel):
    """A number with its 95% interval, NaN where there is none, and what the plain baseline scores.

    slice: the part of the evaluation that it is about, None for all of it
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    value: float
    low: float
    high: float
    baseline: float | None = None
    slice: Slice | None = None


class Verdict(BaseModel):
    """What one promotion rule says of a challenger, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    passed: bool
    reason: str


class Evaluation(Record):
    """A finished evaluation. `champion_run_id` is the champion's evaluation it was compared with, if there is one.

    target: the name of what was measured, such as `models:/digits-generator/3`, on the images of `dataset`
    training: the run that made it; None for a bundle on disk, which cannot be promoted
    """

    model_name: str
    target: str
    bundle_digest: str
    dataset: DatasetVersion
    training: TrainingRun | None
    protocol_id: str
    metrics: dict[str, MetricValue]
    left_out: tuple[LeftOut, ...] = ()
    champion_version: str | None = None
    champion_run_id: str | None = None
    champion_metrics: dict[str, float] = {}
    verdicts: tuple[Verdict, ...] = ()


class Promotion(Record):
    """A decision on a model version, whichever way it went."""

    model_name: str
    version: str
    decision: Literal["promoted", "kept champion", "rejected"]
    reason: str
    verdicts: tuple[Verdict, ...] = ()
    replaced_version: str | None = None
    decided_by: str = "rules"


Retraining = tuple[DatasetVersion, TrainingRun, Evaluation, Promotion]


def by_stage(retraining: Retraining) -> dict[Stage, Record]:
    """Return the records of a retrain by the stages that made them, in their order."""
    return dict(zip(get_args(Stage), retraining, strict=True))
