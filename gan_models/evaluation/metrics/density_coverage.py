"""Density and coverage (Naeem et al. 2020, https://arxiv.org/abs/2002.09797), k = 5.

Both count in the neighborhoods of real images alone, so that one sample far out does not reach everything, as
it does in recall.
"""

import numpy as np

from gan_models.evaluation.metrics.neighborhoods import K_COVERAGE, Neighborhoods
from gan_models.evaluation.stats.intervals import Estimate, mean_of


def density(near: Neighborhoods) -> Estimate:
    """Return how many real neighborhoods a sample is in, divided by k; about 1 for real images, or more."""
    return mean_of(near.times_in_real / K_COVERAGE)


def coverage(near: Neighborhoods) -> Estimate:
    """Return the share of real neighborhoods with a sample in them; the paper says what to expect of real images.

    The influence of a sample is (N - 1) times the coverage that is lost without it, as for the recall.
    """
    num, num_real = len(near.in_real), len(near.visited.counts)
    influence = (num - 1) * np.bincount(near.visited.only[1], minlength=num) / num_real
    return Estimate(float((near.visited.counts > 0).mean()), influence - influence.mean())
