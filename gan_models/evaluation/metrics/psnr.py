"""Peak signal-to-noise ratio, in dB, of 8-bit pixels."""

import numpy as np
from numpy.typing import NDArray

from gan_models.evaluation.stats.intervals import Array
from gan_models.images.pixels import require_uint8

RANGE = 255.0
CAP = 100.0  # dB, for identical images


def psnr(images: NDArray[np.uint8], originals: NDArray[np.uint8], where: NDArray[np.bool_] | None = None) -> Array:
    """Return 10 log10(255² / MSE) of each image, over all its pixels and channels together, at most 100.

    Args:
        images, originals: uint8 [N, C, H, W].
        where: bool [N, 1, H, W], the pixels that count; None counts all.

    Returns:
        float64 [N], in dB.

    Raises:
        ValueError: the images are not uint8, the shapes differ, or no pixel of an image counts.
    """
    require_uint8(images, originals)
    if images.shape != originals.shape:
        raise ValueError(f"images {images.shape} and originals {originals.shape} should be of one shape")
    error = np.square(images.astype(np.float64) - originals).mean(axis=1, keepdims=True)
    if where is None:
        mean = error.mean(axis=(1, 2, 3))
    else:
        counted = where.sum(axis=(1, 2, 3))
        if not counted.all():
            raise ValueError(f"{int((counted == 0).sum())} of {len(images)} images have no pixel that counts")
        mean = (error * where).sum(axis=(1, 2, 3)) / counted
    with np.errstate(divide="ignore"):
        values: Array = np.minimum(10 * np.log10(RANGE**2 / mean), CAP)
    return values
