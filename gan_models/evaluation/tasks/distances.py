"""The metrics between the features of a model's images and those of real ones: the same for every task."""

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_models.evaluation.collector import Measurements
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
    "fid, kid, inception_score: absent, they are those of the original Inception weights; the extractor inception has "
    "them, and downloads the file once or says where to put it."
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
        """For the Fréchet distance."""
        real = RealFeatures(self.features)
        if real.num > real.dimension:  # else there is nothing to compute
            real.factor = self._keep("frechet", lambda: {"factor": real.factor})["factor"]
        return real

    @cached_property
    def kernel(self) -> RealKernel:
        """For the kernel distance."""
        real = RealKernel(self.features)
        real.similarity = float(self._keep("kernel", lambda: {"similarity": np.array(real.similarity)})["similarity"])
        return real

    @cached_property
    def neighborhoods(self) -> RealNeighborhoods:
        """For precision, recall, density and coverage."""
        real = RealNeighborhoods(self.features)
        real.radii = self._keep("neighborhoods", lambda: {"radii": real.radii})["radii"]
        return real

    def scores_of(self, baseline: "Baseline", family: str, measure: Callable[[], list[float]]) -> Array:
        """What a baseline scores: the same for every model, and as much work as the model itself. Kept as well."""
        digest = hashlib.sha256(baseline.features.tobytes()).hexdigest()[:16]
        return self._keep(f"{family}-{digest}", lambda: {"scores": np.array(measure())})["scores"]


class Baseline(NamedTuple):
    """The features, float64 [N, d], of what a model has to be better than, and what that is."""

    features: Array
    name: str


def add_distances(
    measured: Measurements,
    features: Array,
    real: RealSide,
    baseline: Baseline,
    *,
    sums: Moments | None = None,
    remark: str = "",
    **facts: Any,  # noqa: ANN401
) -> Estimate:
    """The Fréchet and the kernel distance from a model's images to the real ones. Returns the Fréchet distance.

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
    facts = {"num_real": num_real, "baseline_name": baseline.name, **facts}
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
    measured.add_family("fd", distance, baseline=untouched, note=note + warning, **facts)
    if measured.extractor.name != "inception":
        measured.notes.append(NO_INCEPTION)
    measured.add_family("kd", kernel_distance(features, real.kernel), baseline=untouched_kernel, **facts)
    return distance


def add_neighborhoods(
    measured: Measurements,
    features: Array,
    real: RealSide,
    baseline: Baseline,
    **facts: Any,  # noqa: ANN401
) -> None:
    """Precision, recall, density and coverage."""
    near = neighborhoods(features, real.neighborhoods)

    def measure() -> list[float]:
        near_baseline = neighborhoods(baseline.features, real.neighborhoods)
        return [metric(near_baseline).value for metric in _NEIGHBORS.values()]

    scores = real.scores_of(baseline, "neighbors", measure).tolist()
    for (family, metric), score in zip(_NEIGHBORS.items(), scores, strict=True):
        measured.add_family(
            family,
            metric(near),
            baseline=score,
            baseline_name=baseline.name,
            num_real=len(real.features),
            **facts,
        )


def add_diversity(
    measured: Measurements,
    features: Array,
    baseline: Baseline,
    labels: NDArray[Any] | None = None,
    baseline_labels: NDArray[Any] | None = None,
    **facts: Any,  # noqa: ANN401
) -> None:
    """How different the images are, within labels where there are labels."""
    usual = diversity(baseline.features, baseline_labels).value
    measured.add_distance(
        "diversity", diversity(features, labels), baseline=usual, baseline_name=baseline.name, **facts
    )
