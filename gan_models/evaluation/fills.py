"""Plain ways to fill a hole, which a model that fills holes has to beat."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

Pixels = NDArray[np.uint8]
Holes = NDArray[np.bool_]


def fill_with_nearest(images: Pixels, holes: Holes) -> Pixels:
    """Each missing pixel as its nearest known one. uint8 [N, C, H, W] and bool [N, 1, H, W], True where missing."""
    filled = images.copy()
    for image, hole in zip(filled, holes[:, 0], strict=True):
        if hole.all():
            continue  # nothing is known
        rows, columns = distance_transform_edt(hole, return_distances=False, return_indices=True)
        image[:] = image[:, rows, columns]
    return filled


def fill_with_mean_colour(images: Pixels, holes: Holes) -> Pixels:
    """Missing pixels as the mean of the known ones. uint8 [N, C, H, W] and bool [N, 1, H, W], True where missing."""
    known = ~holes
    counts = known.sum(axis=(2, 3), keepdims=True).clip(min=1)
    mean = (images * known).sum(axis=(2, 3), keepdims=True, dtype=np.float64) / counts
    filled: Pixels = np.where(holes, np.rint(mean).astype(np.uint8), images)
    return filled
