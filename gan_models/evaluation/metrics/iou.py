"""Intersection over union: how well segmentations agree."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_models.evaluation.stats.intervals import Array, Estimate, mean_estimate, ratio_of

Numbers = NDArray[np.uint8] | NDArray[np.int64]


class Overlaps(NamedTuple):
    """Pixels of each image and class in both segmentations, and in either: float64 [N, K] each."""

    intersections: Array
    unions: Array

    @property
    def present(self) -> list[int]:
        """The classes that some image has in either segmentation."""
        return [int(number) for number in np.flatnonzero(self.unions.sum(axis=0))]


def overlaps(predicted: Numbers, targets: Numbers, num_classes: int) -> Overlaps:
    """Count the pixels that two segmentations give to the same class, and those that either gives to it.

    Args:
        predicted: integer [N, H, W] in [0, num_classes).
        targets: the same; a number from num_classes on says that the pixel counts for nothing.
        num_classes: how many there are.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != targets.shape:
        raise ValueError(f"segmentations {predicted.shape} and {targets.shape} should be of one shape")
    known = targets < num_classes
    counts = Overlaps(np.zeros((len(targets), num_classes)), np.zeros((len(targets), num_classes)))
    for number in range(num_classes):
        one, other = (predicted == number) & known, targets == number
        counts.intersections[:, number] = (one & other).sum(axis=(1, 2))
        counts.unions[:, number] = (one | other).sum(axis=(1, 2))
    return counts


def image_iou(counts: Overlaps) -> Array:
    """Return the IoU of each image, averaged over the classes that it has in either segmentation: float64 [N].

    An image of which no pixel counts has 1: nothing in it is wrong.
    """
    present = counts.unions > 0
    total = (counts.intersections / counts.unions.clip(min=1)).sum(axis=1)
    values: Array = np.where(present.any(axis=1), total / present.sum(axis=1).clip(min=1), 1.0)
    return values


def class_iou(counts: Overlaps, number: int) -> Estimate:
    """Return the IoU of a class that is present, over the pixels of all images together."""
    return ratio_of(counts.intersections[:, number], counts.unions[:, number])


def mean_iou(counts: Overlaps) -> Estimate:
    """Return the mean IoU of the classes that are present, each over the pixels of all images together."""
    return mean_estimate([class_iou(counts, number) for number in counts.present])
