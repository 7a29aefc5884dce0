"""Which samples are near which real ones: what precision, recall, density and coverage count.

The neighborhood of an image is the ball around its features that reaches to the k-th nearest other image of its own
side. Balls are closed, so that a side whose images are all equal has neighborhoods too, of radius zero.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_models.evaluation.errors import InsufficientDataError
from gan_models.evaluation.metrics.frechet_distance import check_features
from gan_models.evaluation.metrics.pairwise import pairwise_distances
from gan_models.evaluation.stats.intervals import Array

K_RECALL = 3  # Kynkaanniemi et al. 2019
K_COVERAGE = 5  # Naeem et al. 2020
CHUNK = 500  # rows of a matrix of distances at a time

Indices = NDArray[np.int64]


class RealNeighborhoods:
    """The real side. `features`: float64 [M, d], M of 6 or more."""

    def __init__(self, features: Array) -> None:
        check_neighbors(features, "real images")
        self.features = features

    @cached_property
    def radii(self) -> Array:
        """Distances of each image to its five nearest others, nearest first, float64 [M, 5]."""
        return nearest_others(self.features)[0]


class Cover:
    """How many balls each of `num_points` points lies in, int64 [num_points], and in whose, where it is in one."""

    def __init__(self, num_points: int) -> None:
        self.counts: Indices = np.zeros(num_points, np.int64)
        self._sums: Indices = np.zeros(num_points, np.int64)

    def add(self, inside: NDArray[np.bool_], start: int) -> None:
        """Count balls start, start + 1, and so on. `inside`: bool [balls, num_points]."""
        self.counts += inside.sum(axis=0)
        self._sums += np.arange(start, start + len(inside)) @ inside

    @property
    def only(self) -> tuple[Indices, Indices]:
        """The points that lie in a single ball, and the number of that ball."""
        points = np.flatnonzero(self.counts == 1)
        return points, self._sums[points]


class Neighborhoods(NamedTuple):
    """One pass over the distances between N samples and M real images.

    in_real: whether each sample is in the neighborhood (k = 3) of any real one, bool [N]
    times_in_real: how many real neighborhoods (k = 5) each sample is in, int64 [N]
    visited: of each real neighborhood (k = 5), the samples in it
    reached: of each real image, the neighborhoods of samples (k = 3) it is in
    beyond: pairs of a sample and a real one that it would reach with k = 4, int64 [P, 2]; of real images that are
        reached once at most
    nearest: the three nearest other samples of each, int64 [N, 3]
    """

    in_real: NDArray[np.bool_]
    times_in_real: Indices
    visited: Cover
    reached: Cover
    beyond: Indices
    nearest: Indices


def neighborhoods(features: Array, real: RealNeighborhoods) -> Neighborhoods:
    """Return the neighborhoods of samples, `features`, float64 [N, d], and of the real side in each other.

    Raises:
        InsufficientDataError: fewer than six images.
        NonFiniteError: features are not finite.
    """
    check_neighbors(features, "images")
    own, nearest = nearest_others(features)
    num, num_real = len(features), len(real.features)
    in_real, times = np.zeros(num, bool), np.zeros(num, np.int64)
    visited, reached, beyond = Cover(num_real), Cover(num_real), []
    for start in range(0, num, CHUNK):
        rows = slice(start, start + CHUNK)
        distances = pairwise_distances(features[rows], real.features)
        in_real[rows] = (distances <= real.radii[:, K_RECALL - 1]).any(axis=1)
        inside = distances <= real.radii[:, K_COVERAGE - 1]
        times[rows] = inside.sum(axis=1)
        visited.add(inside, start)
        inside = distances <= own[rows, K_RECALL - 1, None]
        reached.add(inside, start)
        pairs = np.argwhere((distances <= own[rows, K_RECALL, None]) & ~inside & (reached.counts <= 1))
        beyond.append(pairs + np.array([start, 0]))
    pairs = np.concatenate(beyond)
    pairs = pairs[reached.counts[pairs[:, 1]] <= 1]
    return Neighborhoods(in_real, times, visited, reached, pairs, nearest[:, :K_RECALL])


def nearest_others(features: Array) -> tuple[Array, Indices]:
    """Return each row's five nearest other rows: distances, nearest first, float64 [N, 5], and which, int64 [N, 5]."""
    all_distances, all_indices = [], []
    for start in range(0, len(features), CHUNK):
        distances = pairwise_distances(features[start : start + CHUNK], features)
        rows = np.arange(len(distances))
        distances[rows, start + rows] = np.inf  # an image is not its own neighbor
        indices = np.argpartition(distances, K_COVERAGE - 1, axis=1)[:, :K_COVERAGE]
        near = np.take_along_axis(distances, indices, axis=1)
        order = np.argsort(near, axis=1, kind="stable")
        all_distances.append(np.take_along_axis(near, order, axis=1))
        all_indices.append(np.take_along_axis(indices, order, axis=1))
    return np.concatenate(all_distances), np.concatenate(all_indices)


def check_neighbors(features: Array, what: str) -> None:
    """Refuse features that have no neighborhoods.

    Raises:
        InsufficientDataError: fewer than six rows.
        NonFiniteError: rows with NaN or infinity.
    """
    if len(features) <= K_COVERAGE:
        raise InsufficientDataError(what, len(features), K_COVERAGE + 1)
    check_features(features, what)
