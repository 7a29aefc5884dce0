"""Intersection over union: how well segmentations agree."""

import numpy as np
from numpy.typing import NDArray

from gan_models.evaluation.stats.intervals import Array


def mean_iou(predicted: NDArray[np.int64], targets: NDArray[np.int64], num_classes: int) -> Array:
    """Pixels in both over pixels in either, of each class, averaged over the classes that an image has in either.

    Args:
        predicted, targets: int64 [N, H, W] in [0, num_classes).
        num_classes: how many there are.

    Returns:
        float64 [N] in [0, 1].

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != targets.shape:
        raise ValueError(f"segmentations {predicted.shape} and {targets.shape} should be of one shape")
    total, present = np.zeros(len(targets)), np.zeros(len(targets))
    for number in range(num_classes):
        one, other = predicted == number, targets == number
        either = (one | other).sum(axis=(1, 2))
        total += (one & other).sum(axis=(1, 2)) / either.clip(min=1)
        present += either > 0
    values: Array = total / present
    return values
