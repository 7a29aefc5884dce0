"""How different from each other the images are: what tells collapse, which a Fréchet distance does not."""

import numpy as np
from numpy.typing import NDArray

from gan_models.evaluation.errors import InsufficientDataError
from gan_models.evaluation.metrics.frechet_distance import check_features
from gan_models.evaluation.metrics.pairwise import pairwise_distances
from gan_models.evaluation.stats.intervals import Array, Estimate

CHUNK = 1_000  # rows of a matrix of distances at a time


def diversity(features: Array, labels: NDArray[np.int64] | None = None) -> Estimate:
    """Return mean Euclidean distance between two different images, of the same label where there are labels.

    Labels count by how many images they have; one with a single image has no pair and does not count. The influence
    is the projection of the U-statistic (Hoeffding 1948): twice an image's mean distance to the others of its label,
    less the label's mean.

    Args:
        features: float64 [N, d].
        labels: int64 [N].

    Raises:
        InsufficientDataError: there is no pair.
        NonFiniteError: features are not finite.
    """
    check_features(features, "images")
    labels = np.zeros(len(features), np.int64) if labels is None else labels
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    groups = [group for group in groups if len(group) > 1]
    counted = sum(len(group) for group in groups)
    if not counted:
        raise InsufficientDataError("images with a second one of their label", 0, 2)
    total = 0.0
    influence = np.zeros(len(features))
    for group in groups:
        own = features[group]
        sums = [pairwise_distances(own[i : i + CHUNK], own).sum(axis=1) for i in range(0, len(own), CHUNK)]
        to_others = np.concatenate(sums) / (len(group) - 1)
        mean = to_others.mean()
        total += len(group) * float(mean)
        influence[group] = 2 * (to_others - mean) * len(features) / counted
    return Estimate(total / counted, influence)
