"""Distance to the training images: a generator that copies them is nearer to them than unseen real images are."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_models.evaluation.metrics.frechet_distance import check_features
from gan_models.evaluation.metrics.pairwise import pairwise_distances
from gan_models.evaluation.stats.intervals import Array

CHUNK = 1_000


class Nearest(NamedTuple):
    """Per image, the Euclidean distance to its nearest training image, float64 [N], and which that is, int64 [N]."""

    distance: Array
    which: NDArray[np.int64]


def nearest_training(features: Array, training: Array) -> Nearest:
    """Return the nearest row of `training`, float64 [M, d], to each row of `features`, float64 [N, d].

    Raises:
        InsufficientDataError, NonFiniteError: as for every distance between features.
    """
    check_features(features, "images")
    check_features(training, "training images")
    distances, indices = [], []
    for start in range(0, len(features), CHUNK):
        to_all = pairwise_distances(features[start : start + CHUNK], training)
        nearest = to_all.argmin(axis=1)
        indices.append(nearest)
        distances.append(to_all[np.arange(len(nearest)), nearest])
    return Nearest(np.concatenate(distances), np.concatenate(indices))
