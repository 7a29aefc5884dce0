"""Collecting metrics while a model is evaluated: estimate in, metric with interval and protocol out."""

from collections.abc import Callable
from typing import Any

from gan_models.bundles.bundle import Bundle
from gan_models.config import EvaluateConfig
from gan_models.config.evaluate import MIN_IMAGES
from gan_models.evaluation.errors import InsufficientDataError
from gan_models.evaluation.features.extractor import Extractor
from gan_models.evaluation.metrics.catalog import METRICS
from gan_models.evaluation.result import Metric, Protocol
from gan_models.evaluation.stats.intervals import Array, Estimate, interval, without_interval

Progress = Callable[[str], None]  # called with what is done next


class Measurements:
    """The metrics so far, and their influence values by key.

    extractor: whose features distances are measured in
    notes: what is to be said about the evaluation and not about one metric
    intervals: whether metrics get intervals
    throughput: images a second, where the model makes images from nothing; no metric, since it is never twice the same

    Args:
        common: the parts of every metric's protocol.
    """

    def __init__(self, bundle: Bundle, config: EvaluateConfig, extractor: Extractor, **common: Any) -> None:  # noqa: ANN401
        image = bundle.image
        self._common = {
            "seed": config.seed,
            "image": f"{image.size}x{image.size}x{image.channels} {image.fit}",
            **common,
        }
        self.extractor = extractor
        self.intervals = config.intervals
        self.metrics: list[Metric] = []
        self.influence: dict[str, Array] = {}
        self.notes: list[str] = []
        self.throughput: float | None = None

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
        if not self.intervals:
            estimate = without_interval(estimate.value, num_images)
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
            is_share=estimate.is_share,
        )
        self.metrics.append(metric)
        self.influence[metric.key] = estimate.influence

    def add_distance(self, name: str, estimate: Estimate, **facts: Any) -> None:  # noqa: ANN401
        """`add` for a metric that is measured in features."""
        extractor = {
            "extractor": self.extractor.name,
            "extractor_sha256": self.extractor.sha256,
            "resize": self.extractor.resize,
            "dtype": "float32",
        }
        self.add(name, estimate, **{**extractor, **facts})

    def add_family(self, family: str, estimate: Estimate, **facts: Any) -> None:  # noqa: ANN401
        """`add_distance` for a metric whose name says which extractor's: `fd_efficientnet_lite0` of the family `fd`."""
        self.add_distance(self.extractor.metric(family), estimate, **facts)


def require(what: str, found: int, needed: int = MIN_IMAGES) -> None:
    """Refuse to measure too few images.

    Raises:
        InsufficientDataError: `found` is less than `needed`.
    """
    if found < needed:
        raise InsufficientDataError(what, found, needed)
