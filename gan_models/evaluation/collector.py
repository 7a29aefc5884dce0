"""Collecting metrics while a model is evaluated: estimate in, metric with interval and protocol out."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from gan_models.bundles.bundle import Bundle
from gan_models.config import EvaluateConfig
from gan_models.config.evaluate import MIN_IMAGES
from gan_models.evaluation.errors import InsufficientDataError
from gan_models.evaluation.features.extractor import Extractor
from gan_models.evaluation.metrics.catalog import METRICS
from gan_models.evaluation.result import LeftOut, Metric, Protocol, Slice
from gan_models.evaluation.stats.intervals import Array, Estimate, interval, without_interval

Progress = Callable[[str], None]  # called with what is done next


class FeatureSource(NamedTuple):
    """The network whose features a metric is measured in, as its protocol says it."""

    extractor: str
    sha256: str
    resize: str
    dtype: str = "float32"


@dataclass(frozen=True)
class Facts:
    """What decides a metric's number besides its name; None: what decides it for the whole evaluation, if anything.

    part: of the evaluation, that it is about
    others: as in `Protocol`
    """

    part: Slice | None = None
    split_digest: str | None = None
    training_digest: str | None = None
    num_real: int | None = None
    degradation: dict[str, Any] | None = None
    judge: str | None = None
    features: FeatureSource | None = None

    def over(self, common: "Facts") -> "Facts":
        """Return these facts, and those of `common` where these say nothing."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return Facts(**{name: getattr(common, name) if value is None else value for name, value in own.items()})


NO_FACTS = Facts()


class BaselineScore(NamedTuple):
    """What something plain scores under the same protocol, and what that is."""

    value: float
    name: str


class Measurements:
    """The metrics so far, and their influence values by key.

    extractor: whose features distances are measured in
    left_out: what was not measured, and why
    notes: what is to be said about the evaluation and not about one metric
    intervals: whether metrics get intervals
    throughput: images a second, where the model makes images from nothing; no metric, since it is never twice the same

    Args:
        common: what holds for every metric that says nothing else.
    """

    def __init__(self, bundle: Bundle, config: EvaluateConfig, extractor: Extractor, common: Facts) -> None:
        image = bundle.image
        self._common = common
        self._seed = config.seed
        self._image = f"{image.size}x{image.size}x{image.channels} {image.fit}"
        self.extractor = extractor
        self.intervals = config.intervals
        self.metrics: list[Metric] = []
        self.influence: dict[str, Array] = {}
        self.left_out: list[LeftOut] = []
        self.notes: list[str] = []
        self.throughput: float | None = None

    def add(
        self,
        name: str,
        estimate: Estimate,
        facts: Facts = NO_FACTS,
        *,
        baseline: BaselineScore | None = None,
        note: str = "",
    ) -> None:
        """Record a metric of the catalog with its interval."""
        kind = METRICS[name]
        num_images = len(estimate.influence)
        if not self.intervals:
            estimate = without_interval(estimate.value, num_images)
        protocol = self._protocol(name, num_images, facts.over(self._common))
        low, high = interval(estimate, protocol.seed)
        metric = Metric(
            name=name,
            slice=facts.part,
            value=estimate.value,
            low=low,
            high=high,
            num_images=num_images,
            higher_is_better=kind.higher_is_better,
            unit=kind.unit,
            baseline=baseline.value if baseline else None,
            baseline_name=baseline.name if baseline else None,
            protocol=protocol,
            note=note,
            is_share=estimate.is_share,
        )
        assert metric.key not in self.influence, f"{metric.key} is measured twice"
        self.metrics.append(metric)
        self.influence[metric.key] = estimate.influence

    def add_distance(
        self,
        name: str,
        estimate: Estimate,
        facts: Facts = NO_FACTS,
        *,
        baseline: BaselineScore | None = None,
        note: str = "",
    ) -> None:
        """Record a metric that is measured in the extractor's features."""
        own = FeatureSource(self.extractor.name, self.extractor.sha256, self.extractor.resize)
        self.add(name, estimate, facts.over(Facts(features=own)), baseline=baseline, note=note)

    def takes(self, side: int, *names: str, part: Slice | None = None) -> bool:
        """Return whether all of some metrics take images of `side` pixels, and record those that do not."""
        small = {name: METRICS[name].min_side for name in names if side < METRICS[name].min_side}
        for name, least in small.items():
            reason = f"takes images of {least} pixels a side or more, and these have {side}"
            self.leave_out(name, reason, part, smallest=least)
        return not small

    def leave_out(self, name: str, reason: str, part: Slice | None = None, smallest: int | None = None) -> None:
        """Record that a metric is not measured, and why; see `LeftOut`."""
        metric = LeftOut(name=name, slice=part, reason=reason, smallest=smallest)
        if metric not in self.left_out:
            self.left_out.append(metric)

    def _protocol(self, name: str, num_images: int, facts: Facts) -> Protocol:
        assert facts.split_digest is not None, "the whole evaluation says which images it is of, or each metric does"
        known: dict[str, Any] = {}
        if facts.features:
            extractor, sha256, resize, dtype = facts.features
            known = {"extractor": extractor, "extractor_sha256": sha256, "resize": resize, "dtype": dtype}
        return Protocol(
            metric=name,
            num_images=num_images,
            num_real=facts.num_real,
            seed=self._seed,
            split_digest=facts.split_digest,
            training_digest=facts.training_digest,
            image=self._image,
            degradation=facts.degradation,
            judge=facts.judge,
            **known,
        )


def require(what: str, found: int, needed: int = MIN_IMAGES) -> None:
    """Refuse to measure too few images.

    Raises:
        InsufficientDataError: `found` is less than `needed`.
    """
    if found < needed:
        raise InsufficientDataError(what, found, needed)
