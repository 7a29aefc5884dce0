"""One idea of uncertainty for every metric: an estimate, and how much each image pulls on it.

The influence of image i is N times what a small extra weight on it adds to the estimate, less the mean over images.
For a mean over images that is x_i - mean; for the Fréchet distance and the pairwise distance see their files. The
estimate's variance is mean(influence²) / N, and giving the images random weights of mean 1 and variance 1 (a
multiplier, or Bayesian, bootstrap) gives its distribution without computing the metric again: resampling images
would change the rank of a covariance and so bias a Fréchet distance.

Two kinds of estimates need something else. A share of 10 in 10 images has no influence at all and yet is not certain:
shares have Wilson's interval. And where a model is as good as the real images, what pulls on a distance is chance
itself, which the influences count twice: see `without_double_counting`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEVEL = 0.95
NORMAL = 1.959964  # the quantile of the standard normal distribution that leaves half of 1 - LEVEL above it
DRAWS = 2_000
CHUNK = 250


class Estimate(NamedTuple):
    """A metric's value and the influence of each image on it, float64 [N], which sums to zero.

    is_share: it is the mean of zeros and ones.
    """

    value: float
    influence: Array
    is_share: bool = False


def mean_of(values: Array) -> Estimate:
    """Return the mean over images, float64 [N]."""
    mean = float(values.mean())
    return Estimate(mean, values - mean)


def share_of(hits: Array) -> Estimate:
    """Return the share of ones, of float64 [N] that are 0 or 1."""
    return Estimate(*mean_of(hits)[:2], is_share=True)


def ratio_of(numerators: Array, denominators: Array) -> Estimate:
    """Return the sum of the numerators over that of the denominators, float64 [N] each, the latter with a sum above 0.

    The influences are those of the delta method: of a ratio's first-order expansion about the two means.
    """
    ratio = float(numerators.sum() / denominators.sum())
    return Estimate(ratio, (numerators - ratio * denominators) / denominators.mean())


def mean_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of several estimates over the same images."""
    values = [estimate.value for estimate in estimates]
    return Estimate(float(np.mean(values)), np.mean([estimate.influence for estimate in estimates], axis=0))


def difference_of(a: Estimate, b: Estimate) -> Estimate:
    """Return a - b; image i of both had the same input."""
    return Estimate(a.value - b.value, a.influence - b.influence)


def without_interval(value: float, num: int) -> Estimate:
    """Return a value over `num` images of which nothing else was kept: without an interval, never compared."""
    return Estimate(value, np.full(num, np.nan))


def interval(estimate: Estimate, seed: int) -> tuple[float, float]:
    """Return the 95% interval (low, high), the same for the same seed; that of `without_interval` is the value alone.

    Two metrics over equally many images get the same random weights, so that their difference can be judged by the
    difference of their influences. Deviations are widened by what Student's t adds to the normal distribution.
    """
    num = len(estimate.influence)
    if estimate.is_share:
        return _wilson(estimate.value, num)
    if not np.isfinite(estimate.influence).all():
        return estimate.value, estimate.value
    random = np.random.default_rng([seed, num])
    draws = [
        (random.standard_exponential((CHUNK, num)) - 1.0) @ estimate.influence / num for _ in range(DRAWS // CHUNK)
    ]
    tail = (1.0 - LEVEL) / 2
    low, high = np.quantile(np.concatenate(draws), [tail, 1.0 - tail]) * _small_sample_factor(num)
    return estimate.value + float(low), estimate.value + float(high)


def difference_interval(a: Estimate, b: Estimate, seed: int) -> tuple[float, float]:
    """Return the 95% interval of a - b, NaN where it is not known; image i of both had the same input."""
    if not np.isfinite(a.influence - b.influence).all():
        return math.nan, math.nan
    if a.is_share and b.is_share:
        return _paired_shares(a.value + a.influence - b.value - b.influence)
    return interval(difference_of(a, b), seed)


def halves(estimate: Estimate) -> list[NDArray[np.int64]]:
    """Return which images to measure again for `without_double_counting`: both halves, or one where they are many.

    They are drawn by the rank of their influence, so that the division does not depend on the order of the images.
    """
    num = len(estimate.influence)
    order = np.argsort(estimate.influence, kind="stable")[np.random.default_rng(num).permutation(num)]
    return [order[::2]] if len(order) > 1_000 else [order[::2], order[1::2]]


def without_double_counting(estimate: Estimate, of_halves: Sequence[Array]) -> Estimate:
    """Return influences scaled so that the variance counts once what two images do together.

    A distance is curved: at a model that equals the real images its slope is nothing but chance, of the size 1 / √N.
    The variance of influences then is A + K / N, where the estimate's own is A + K / 2N: the jackknife counts the
    second-order term of the Hoeffding decomposition twice (Efron & Stein 1981, Annals of Statistics 9:586). At N / 2
    images it is A + 2 K / N, which gives K. For a model that is far from the real images K / N vanishes against A.

    Args:
        estimate: over all N images.
        of_halves: influences when measured over halves of the images alone, float64 [N / 2] each.
    """
    whole = float(np.square(estimate.influence).mean())
    if whole == 0 or not of_halves:
        return estimate
    half = float(np.mean([np.square(influence).mean() for influence in of_halves]))
    share = min(max(1.5 - 0.5 * half / whole, 0.5), 1.0)
    return estimate._replace(influence=estimate.influence * math.sqrt(share))


def _small_sample_factor(num: int) -> float:
    """Return Student's t quantile over the normal one (Abramowitz & Stegun 26.7.5), times √(N / (N - 1))."""
    if num < 2:
        return 1.0
    z, freedom = NORMAL, num - 1
    first = (z**3 + z) / (4 * freedom)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return (z + first + second) / z * math.sqrt(num / freedom)


def _wilson(share: float, num: int) -> tuple[float, float]:
    """Return Wilson's score interval (Wilson 1927), which has a width at 0 and at 1 too."""
    z = NORMAL**2 / num
    center = (share + z / 2) / (1 + z)
    width = math.sqrt(z * share * (1 - share) + z**2 / 4) / (1 + z)
    return min(max(center - width, 0.0), share), max(min(center + width, 1.0), share)


def _paired_shares(differences: Array) -> tuple[float, float]:
    """Return that of the mean of -1, 0 and 1, an image added to both kinds that differ (Bonett & Price 2012)."""
    num = len(differences) + 2
    gained, lost = ((int((sign * differences > 0.5).sum()) + 1) / num for sign in (1, -1))
    width = NORMAL * math.sqrt((gained + lost - (gained - lost) ** 2) / num)
    mean = float(differences.mean())
    low, high = gained - lost - width, gained - lost + width
    return max(min(low, mean), -1.0), min(max(high, mean), 1.0)
