"""The metrics between the features of a model's images and those of real ones: the same for every task."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_models.evaluation.collector import NO_FACTS, BaselineScore, Facts, Measurements
from gan_models.evaluation.features.cache import Keep, compute_anew
from gan_models.evaluation.metrics.density_coverage import coverage, density
from gan_models.evaluation.metrics.diversity import diversity
from gan_models.evaluation.metrics.frechet_distance import Moments, RealFeatures, frechet_distance, frechet_value
from gan_models.evaluation.metrics.kernel_distance import RealKernel, kernel_distance
from gan_models.evaluation.metrics.neighborhoods import RealNeighborhoods, neighborhoods
from gan_models.evaluation.metrics.precision_recall import precision, recall
from gan_models.evaluation.stats.intervals import Array, Estimate, without_interval

_NEIGHBORS = {"precision": precision, "recall": recall, "density": density, "coverage": coverage}

NO_INCEPTION = (
    "is measured with the original Inception weights alone; `evaluate.extractor: {name: inception}` has them, and "
    "downloads the file once or says where to put it"
)


class RealSide:
    """Features of real images, float64 [M, d]; what each metric needs of them is computed once, when it is needed.

    Args:
        keep: finds arrays that were computed of these images before, by name, or computes and keeps them.
    """

    def __init__(self, features: Array, keep: Keep = compute_anew) -> None:
        self.features = features
        self._keep = keep

    @cached_property
    def frechet(self) -> RealFeatures:
        """Return what the Fréchet distance needs."""
        real = RealFeatures(self.features)
        if real.num > real.dimension:  # else there is nothing to compute
            real.factor = self._keep("frechet", lambda: {"factor": real.factor})["factor"]
        return real

    @cached_property
    def kernel(self) -> RealKernel:
        """Return what the kernel distance needs."""
        real = RealKernel(self.features)
        real.similarity = float(self._keep("kernel", lambda: {"similarity": np.array(real.similarity)})["similarity"])
        return real

    @cached_property
    def neighborhoods(self) -> RealNeighborhoods:
        """Return what precision, recall, density and coverage need."""
        real = RealNeighborhoods(self.features)
        real.radii = self._keep("neighborhoods", lambda: {"radii": real.radii})["radii"]
        return real

    def scores_of(self, baseline: "Baseline", family: str, measure: Callable[[], list[float]]) -> Array:
        """Return what a baseline scores; it is kept, being the same for every model and as much work as the model."""
        digest = hashlib.sha256(baseline.features.tobytes()).hexdigest()[:16]
        return self._keep(f"{family}-{digest}", lambda: {"scores": np.array(measure())})["scores"]


class Baseline(NamedTuple):
    """The features, float64 [N, d], of what a model has to be better than, and what that is."""

    features: Array
    name: str

    def score(self, value: float) -> BaselineScore:
        """Return what it scores, with its name."""
        return BaselineScore(value, self.name)


def add_distances(
    measured: Measurements,
    features: Array,
    real: RealSide,
    baseline: Baseline,
    facts: Facts = NO_FACTS,
    *,
    sums: Moments | None = None,
    remark: str = "",
) -> Estimate:
    """Add the Fréchet and the kernel distance from a model's images to the real ones; return the Fréchet distance.

    Where few images bias the Fréchet distance, its note says so; the kernel distance decides there.

    Args:
        sums: of the features of more images than were kept; the Fréchet distance then is of those, and has no interval.
    """
    num, num_real, dimension = sums.num if sums else len(features), len(real.features), features.shape[1]
    note = f"{num} images against {num_real} real ones." + (f" {remark}" if remark else "")
    warning = ""
    if min(num, num_real) < dimension:
        warning = (
            f" Fewer than the {dimension} dimensions of the features, so the distance is biased upwards: compare it "
            f"only at these numbers, and let {measured.extractor.metric('kd')} decide, which is not biased."
        )
    facts = replace(facts, num_real=num_real)
    if measured.intervals and sums is None:
        distance = frechet_distance(features, real.frechet)
    else:
        distance = without_interval(frechet_value(sums or features, real.frechet), num)
    untouched, untouched_kernel = real.scores_of(
        baseline,
        "distances",
        lambda: [
            frechet_value(baseline.features, real.frechet),
            kernel_distance(baseline.features, real.kernel).value,
        ],
    ).tolist()
    fd, kd = measured.extractor.metric("fd"), measured.extractor.metric("kd")
    measured.add_distance(fd, distance, facts, baseline=baseline.score(untouched), note=note + warning)
    kernel = kernel_distance(features, real.kernel)
    measured.add_distance(kd, kernel, facts, baseline=baseline.score(untouched_kernel))
    if measured.extractor.key:
        for name in ("fid", "kid"):
            measured.leave_out(name, NO_INCEPTION, facts.part)
    return distance


def add_neighborhoods(measured: Measurements, features: Array, real: RealSide, baseline: Baseline) -> None:
    """Add precision, recall, density and coverage."""
    near = neighborhoods(features, real.neighborhoods)

    def measure() -> list[float]:
        near_baseline = neighborhoods(baseline.features, real.neighborhoods)
        return [metric(near_baseline).value for metric in _NEIGHBORS.values()]

    scores = real.scores_of(baseline, "neighbors", measure).tolist()
    for (family, metric), score in zip(_NEIGHBORS.items(), scores, strict=True):
        name, facts = measured.extractor.metric(family), Facts(num_real=len(real.features))
        measured.add_distance(name, metric(near), facts, baseline=baseline.score(score))


def add_diversity(
    measured: Measurements,
    features: Array,
    baseline: Baseline,
    facts: Facts = NO_FACTS,
    *,
    labels: NDArray[np.int64] | None = None,
    baseline_labels: NDArray[np.int64] | None = None,
) -> None:
    """Add how different the images are, within labels where there are labels."""
    usual = diversity(baseline.features, baseline_labels).value
    measured.add_distance("diversity", diversity(features, labels), facts, baseline=baseline.score(usual))
