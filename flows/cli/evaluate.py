"""What `atelier evaluate` answers: a model's numbers, what the rules say of them now, and how it does against another.

Nothing here is kept but a table of the comparison: verdicts depend on the champion, which may have changed since.
"""

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from flows.evaluate import ensure_evaluated, evaluate, judge
from flows.evaluations.comparison import compare_evaluations
from flows.evaluations.mlflow_report import log_comparison
from flows.lookup.evaluation_target import named
from flows.lookup.promotion import find_opponent
from flows.runtime.records import Evaluation, Verdict
from flows.tracking.context import StageContext

if TYPE_CHECKING:
    from gan_models.evaluation.comparison import Difference
    from gan_models.evaluation.result import EvaluationResult


@dataclass(frozen=True)
class Assessment:
    """An evaluation with its whole result and the verdicts of now; `against` with differences, if it was asked for."""

    record: Evaluation
    result: "EvaluationResult"
    verdicts: tuple[Verdict, ...]
    champion: str | None
    against: Evaluation | None
    differences: tuple["Difference", ...]

    def as_json(self) -> dict[str, Any]:
        """Return all of it as what JSON knows."""
        record = self.record
        metrics = {metric.key: _plain(metric, exclude={"name", "slice"}) for metric in self.result.metrics}
        against = self.against and {
            "target": self.against.target,
            "bundle_digest": self.against.bundle_digest,
            "run_id": self.against.run_id,
            "differences": {d.key: _plain(d, exclude={"key", "name", "slice"}) for d in self.differences},
        }
        return {
            "model": record.model_name,
            "target": record.target,
            "bundle_digest": record.bundle_digest,
            "run_id": record.run_id,
            "dataset": {"name": record.dataset.name, "version": record.dataset.dvc_md5},
            "protocol_id": record.protocol_id,
            "metrics": metrics,
            "left_out": [{"metric": m.key, "reason": m.reason, "smallest": m.smallest} for m in self.result.left_out],
            "notes": list(self.result.notes),
            "champion": self.champion,
            "verdicts": [_plain(verdict) for verdict in self.verdicts],
            "against": against,
        }


def _plain(record: BaseModel, exclude: set[str] | None = None) -> dict[str, Any]:
    """Return what JSON knows; a number that is none, as of an interval that is not known, is null."""
    content: dict[str, Any] = json.loads(record.model_dump_json(exclude=exclude))
    return content


def assess(config: str, model: str | None, against: str | None) -> Assessment:
    """Evaluate a model, unless that is done, judge it by the config's rules, and compare it with another.

    Args:
        config: the model's config file, relative to the project.
        model: what is measured, as `evaluation_target.named` reads it; without it what the config makes now.
        against: what it is compared with, read alike.

    Raises:
        StageError: one of them does not exist or cannot be measured, or they cannot be compared.
    """
    from gan_models.evaluation.comparison import load_evaluation

    ctx = StageContext.open(config)
    other = named(ctx, against) if against else None  # a typing error is found before anything is measured
    record = evaluate(config, model=model)
    opponent = find_opponent(ctx, record.training)
    verdicts = judge(ctx, record, opponent).verdicts
    theirs: Evaluation | None = None
    differences: tuple[Difference, ...] = ()
    if other:
        theirs = ensure_evaluated(ctx, other)
        differences = compare_evaluations(ctx, record, theirs)
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", other.name).strip("_")
        log_comparison(ctx, record, differences, f"comparison_{name}.json")
    result, _ = load_evaluation(ctx.tracking.fetch(record.run_id, "evaluation"))
    return Assessment(record, result, verdicts, opponent.version if opponent else None, theirs, differences)
