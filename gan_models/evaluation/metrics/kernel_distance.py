"""The kernel distance between two sets of features; in those of Inception it is KID.

The squared maximum mean discrepancy under the kernel k(x, y) = (x·y / d + 1)³ (Binkowski et al. 2018,
https://arxiv.org/abs/1801.01401). The estimate is unbiased at any number of images, so that it may be below zero.
"""

from functools import cached_property

import numpy as np

from gan_models.evaluation.errors import EvaluationError
from gan_models.evaluation.metrics.frechet_distance import SMALLEST_HALF, check_features
from gan_models.evaluation.stats.intervals import Array, Estimate, halves, without_double_counting

CHUNK = 1_000  # rows of a kernel matrix at a time


class RealKernel:
    """The real side of a distance. `features`: float64 [M, d]."""

    def __init__(self, features: Array) -> None:
        check_features(features, "real images")
        self.features = features

    @cached_property
    def similarity(self) -> float:
        """Mean kernel of two different real images."""
        return float(_means_to_others(self.features).mean())


def kernel_distance(features: Array, real: RealKernel) -> Estimate:
    """Return the distance from `features`, float64 [N, d], to the real side.

    All pairs are used: the mean over random subsets, which the paper takes to save time, estimates the same with more
    variance, and depends on their seed. The influence is the projection of the U-statistic (Hoeffding 1948), twice an
    image's mean kernel with the others less that with the real images, which are held fixed; less its mean. See
    `without_double_counting` for its scale.

    Raises:
        InsufficientDataError: fewer than two images.
        NonFiniteError: features are not finite.
        EvaluationError: the two sides have different dimensions.
    """
    check_features(features, "images")
    dimensions = features.shape[1], real.features.shape[1]
    if dimensions[0] != dimensions[1]:
        raise EvaluationError(f"features of {dimensions[0]} and of {dimensions[1]} dimensions cannot be compared")
    to_others, to_real = _means_to_others(features), _sums(features, real.features) / len(real.features)
    value = float(to_others.mean() - 2 * to_real.mean()) + real.similarity
    estimate = Estimate(value, _centered(2 * (to_others - to_real)))
    of_halves = [
        _centered(2 * (_means_to_others(features[half]) - to_real[half]))
        for half in (halves(estimate) if len(features) >= 2 * SMALLEST_HALF else ())
    ]
    return without_double_counting(estimate, of_halves)


def _centered(values: Array) -> Array:
    centered: Array = values - values.mean()
    return centered


def _means_to_others(features: Array) -> Array:
    """Return each row's mean kernel with the other rows, float64 [N]. The matrix is symmetric: half is computed."""
    num = len(features)
    sums = np.zeros(num)
    for start in range(0, num, CHUNK):
        stop = min(start + CHUNK, num)
        own = _kernel(features[start:stop], features[start:stop])
        np.fill_diagonal(own, 0.0)
        sums[start:stop] += own.sum(axis=1)
        for later in range(stop, num, CHUNK):
            block = _kernel(features[start:stop], features[later : later + CHUNK])
            sums[start:stop] += block.sum(axis=1)
            sums[later : later + CHUNK] += block.sum(axis=0)
    means: Array = sums / (num - 1)
    return means


def _sums(a: Array, b: Array) -> Array:
    """Return the sum of the kernels of each row of a with those of b, float64 [N]."""
    sums = np.zeros(len(a))
    for start in range(0, len(a), CHUNK):
        for other in range(0, len(b), CHUNK):
            sums[start : start + CHUNK] += _kernel(a[start : start + CHUNK], b[other : other + CHUNK]).sum(axis=1)
    return sums


def _kernel(a: Array, b: Array) -> Array:
    base = a @ b.T
    base /= a.shape[1]
    base += 1.0
    cubes: Array = base * base
    cubes *= base
    return cubes
