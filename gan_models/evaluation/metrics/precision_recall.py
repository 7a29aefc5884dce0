"""Improved precision and recall (Kynkaanniemi et al. 2019, https://arxiv.org/abs/1904.06991), k = 3."""

import numpy as np

from gan_models.evaluation.metrics.neighborhoods import Indices, Neighborhoods
from gan_models.evaluation.stats.intervals import Array, Estimate, share_of


def precision(near: Neighborhoods) -> Estimate:
    """Return the share of samples in the neighborhood of a real image (eq. 1). The real images are held fixed."""
    return share_of(near.in_real.astype(np.float64))


def recall(near: Neighborhoods) -> Estimate:
    """Return the share of real images in the neighborhood of a sample (eq. 2).

    It is no mean over samples. The influence of one is (N - 1) times what the recall loses without it, whose
    variance is, on average, not too small (Efron & Stein 1981, https://doi.org/10.1214/aos/1176345462): the real
    images that only it reaches are lost, and the neighborhoods that it was one of the three nearest in grow.
    """
    num, num_real = len(near.in_real), len(near.reached.counts)
    points, owners = near.reached.only
    owner = np.full(num_real, -1)
    owner[points] = owners
    # Without sample i, each that has i among its three nearest reaches to its fourth.
    without = np.repeat(near.nearest[near.beyond[:, 0]].ravel()[:, None], 2, axis=1)
    without[:, 1] = np.repeat(near.beyond[:, 1], near.nearest.shape[1])
    without = np.unique(without, axis=0)
    counts = near.reached.counts[without[:, 1]]
    gained = without[counts == 0, 0]
    kept = without[(counts == 1) & (owner[without[:, 1]] == without[:, 0]), 0]
    lost = _times(owners, num) - _times(gained, num) - _times(kept, num)
    value = float((near.reached.counts > 0).mean())
    influence = (num - 1) * lost / num_real
    return Estimate(value, influence - influence.mean())


def _times(images: Indices, num: int) -> Array:
    return np.bincount(images, minlength=num).astype(np.float64)
