"""One idea of uncertainty for every metric: an estimate, and how much each image pulls on it.

The influence of image i is N times what a small extra weight on it adds to the estimate, less the mean over images.
For a mean over images that is x_i - mean; for the Fréchet distance and the pairwise distance see their files. The
estimate's variance is mean(influence²) / N, and giving the images random weights of mean 1 and variance 1 (a
multiplier, or Bayesian, bootstrap) gives its distribution without computing the metric again: resampling images
would change the rank of a covariance and so bias a Fréchet distance.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEVEL = 0.95
DRAWS = 2_000
CHUNK = 250


class Estimate(NamedTuple):
    """A metric's value and the influence of each image on it, float64 [N], which sums to zero."""

    value: float
    influence: Array


def mean_of(values: Array) -> Estimate:
    """The mean over images, float64 [N]."""
    mean = float(values.mean())
    return Estimate(mean, values - mean)


def interval(estimate: Estimate, seed: int) -> tuple[float, float]:
    """The 95% interval (low, high), the same for the same seed.

    Two metrics over equally many images get the same random weights, so that their difference can be judged by the
    difference of their influences.
    """
    num = len(estimate.influence)
    random = np.random.default_rng([seed, num])
    draws = [
        (random.standard_exponential((CHUNK, num)) - 1.0) @ estimate.influence / num for _ in range(DRAWS // CHUNK)
    ]
    tail = (1.0 - LEVEL) / 2
    low, high = np.quantile(np.concatenate(draws), [tail, 1.0 - tail])
    return estimate.value + float(low), estimate.value + float(high)
