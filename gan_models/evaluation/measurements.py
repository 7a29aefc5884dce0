"""Collecting metrics while a model is evaluated: estimate in, metric with interval and protocol out."""

from collections.abc import Callable
from typing import Any

from gan_models.evaluation.errors import InsufficientDataError
from gan_models.evaluation.extractor import Extractor
from gan_models.evaluation.intervals import Array, Estimate, interval
from gan_models.evaluation.registry import METRICS
from gan_models.evaluation.result import Metric, Protocol

MIN_IMAGES = 10  # on either side of a metric; an interval over fewer says nothing

Progress = Callable[[str], None]  # called with what is done next


class Measurements:
    """The metrics so far, and their influence values by key. `common`: the parts of every metric's protocol."""

    def __init__(self, extractor: Extractor, **common: Any) -> None:  # noqa: ANN401
        self._common = common
        self._extractor = {
            "extractor": extractor.name,
            "extractor_sha256": extractor.sha256,
            "resize": extractor.resize,
            "dtype": "float32",
        }
        self._dimension = extractor.dimension
        self.metrics: list[Metric] = []
        self.influence: dict[str, Array] = {}

    def add(
        self,
        name: str,
        estimate: Estimate,
        *,
        slice_name: str | None = None,
        baseline: float | None = None,
        baseline_name: str | None = None,
        note: str = "",
        **protocol: Any,  # noqa: ANN401
    ) -> None:
        """Record a metric of the registry with its interval. `protocol`: its own parts."""
        kind = METRICS[name]
        num_images = len(estimate.influence)
        complete = Protocol(metric=name, num_images=num_images, **{**self._common, **protocol})
        low, high = interval(estimate, complete.seed)
        metric = Metric(
            name=name,
            slice=slice_name,
            value=estimate.value,
            low=low,
            high=high,
            num_images=num_images,
            higher_is_better=kind.higher_is_better,
            unit=kind.unit,
            baseline=baseline,
            baseline_name=baseline_name,
            protocol=complete,
            note=note,
        )
        self.metrics.append(metric)
        self.influence[metric.key] = estimate.influence

    def add_distance(self, name: str, estimate: Estimate, **facts: Any) -> None:  # noqa: ANN401
        """`add` for a metric that is measured in features."""
        self.add(name, estimate, **{**self._extractor, **facts})

    def add_frechet(
        self,
        estimate: Estimate,
        *,
        num_real: int,
        remark: str = "",
        **facts: Any,  # noqa: ANN401
    ) -> None:
        """`add` for a Fréchet distance, whose name is the extractor's, with a note where few images bias it."""
        num = len(estimate.influence)
        note = f"{num} images against {num_real} real ones." + (f" {remark}" if remark else "")
        if min(num, num_real) < self._dimension:
            note += (
                f" Fewer than the {self._dimension} dimensions of the features, so the distance is biased upwards: "
                "compare it only at these numbers."
            )
        name = f"fd_{self._extractor['extractor']}"
        self.add_distance(name, estimate, num_real=num_real, note=note, **facts)


def require(what: str, found: int, needed: int = MIN_IMAGES) -> None:
    """Refuse to measure too few images.

    Raises:
        InsufficientDataError: `found` is less than `needed`.
    """
    if found < needed:
        raise InsufficientDataError(what, found, needed)
