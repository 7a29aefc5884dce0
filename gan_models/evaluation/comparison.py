"""Champion against challenger: which differences are more than chance. No PyTorch here."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from gan_models.evaluation.errors import EvaluationError, IncomparableError
from gan_models.evaluation.result import INFLUENCE, RESULT, EvaluationResult, Metric, Record, Slice
from gan_models.evaluation.stats.intervals import Array, Estimate, difference_interval
from gan_models.text import one_line

Verdict = Literal["better", "worse", "tie", "changed"]


class Difference(Record):
    """Metric a less metric b, with its 95% interval. `verdict` is about a.

    An interval that contains zero is a tie, and so is one that is not known: low and high are then NaN. "changed" is a
    difference of a metric with no better direction.
    """

    key: str
    name: str
    slice: Slice | None
    value: float
    low: float
    high: float
    a: float
    b: float
    num_images: int
    verdict: Verdict


def load_evaluation(directory: Path) -> tuple[EvaluationResult, dict[str, Array]]:
    """Return a finished evaluation: the result, and the influence values of each metric, float64 [N], by its key.

    Raises:
        EvaluationError: there is none in `directory`, or it is damaged.
    """
    try:
        result = EvaluationResult.model_validate(json.loads((directory / RESULT).read_bytes()))
        with np.load(directory / INFLUENCE, allow_pickle=False) as file:
            influence = {key: file[key] for key in file.files}
    except FileNotFoundError as error:
        raise EvaluationError(f"{directory} holds no finished evaluation: there is no {error.filename}") from None
    except (OSError, ValueError, ValidationError) as error:
        raise EvaluationError(f"the evaluation in {directory} is damaged: {one_line(error)}") from None
    if set(influence) != set(result.by_key()):
        raise EvaluationError(f"the evaluation in {directory} is damaged: {INFLUENCE} is not of its {RESULT}")
    return result, influence


def compare(
    a_result: EvaluationResult,
    a_influence: Mapping[str, Array],
    b_result: EvaluationResult,
    b_influence: Mapping[str, Array],
) -> tuple[Difference, ...]:
    """Compare every metric of a with that of b, paired: image i of both had the same input, or latent and label.

    Raises:
        IncomparableError: the protocols are not the same; the message names the first part that differs.
    """
    _refuse_different_protocols(a_result, b_result)
    others = b_result.by_key()
    return tuple(
        _difference(metric, a_influence[metric.key], others[metric.key], b_influence[metric.key])
        for metric in a_result.metrics
    )


def _difference(a: Metric, a_influence: Array, b: Metric, b_influence: Array) -> Difference:
    value = a.value - b.value
    ours, theirs = Estimate(a.value, a_influence, a.is_share), Estimate(b.value, b_influence, b.is_share)
    low, high = difference_interval(ours, theirs, a.protocol.seed)
    verdict: Verdict
    if not math.isfinite(low) or not math.isfinite(high) or low <= 0 <= high:
        verdict = "tie"
    elif a.higher_is_better is None:
        verdict = "changed"
    else:
        verdict = "better" if (value > 0) == a.higher_is_better else "worse"
    return Difference(
        key=a.key,
        name=a.name,
        slice=a.slice,
        value=value,
        low=low,
        high=high,
        a=a.value,
        b=b.value,
        num_images=a.num_images,
        verdict=verdict,
    )


def _refuse_different_protocols(a: EvaluationResult, b: EvaluationResult) -> None:
    if a.task != b.task:
        raise IncomparableError(f"not comparable: one evaluation is of a model to {a.task}, the other to {b.task}")
    ours, theirs = a.by_key(), b.by_key()
    for key in [key for key in ours if key in theirs]:
        left, right = ours[key].protocol.model_dump(), theirs[key].protocol.model_dump()
        for part in left:
            if left[part] != right[part]:
                raise IncomparableError(
                    f"not comparable: {part} of {key} is {_shown(left[part])} in one evaluation "
                    f"and {_shown(right[part])} in the other; evaluate both under one protocol"
                )
    alone = sorted(set(ours) ^ set(theirs))
    if alone:
        raise IncomparableError(
            f"not comparable: only one of the evaluations has {', '.join(alone)}; evaluate both under one protocol"
        )


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:76]}..."
