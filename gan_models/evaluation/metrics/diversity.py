"""How different from each other the images are: what tells collapse, which a Fréchet distance does not."""

import numpy as np
from numpy.typing import NDArray

from gan_models.evaluation.errors import InsufficientDataError
from gan_models.evaluation.intervals import Array, Estimate
from gan_models.evaluation.metrics.frechet_distance import check_features


def diversity(features: Array, labels: NDArray[np.int64] | None = None) -> Estimate:
    """Mean Euclidean distance between two different images, of the same label where there are labels.

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
        to_others = pairwise_distances(own, own).sum(axis=1) / (len(group) - 1)
        mean = to_others.mean()
        total += len(group) * float(mean)
        influence[group] = 2 * (to_others - mean) * len(features) / counted
    return Estimate(total / counted, influence)


def pairwise_distances(a: Array, b: Array) -> Array:
    """Euclidean distances, float64 [N, M], between the rows of a, float64 [N, d], and of b, float64 [M, d]."""
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T
    if a is b:
        np.fill_diagonal(squares, 0.0)
    distances: Array = np.sqrt(squares.clip(min=0))
    return distances
