"""Structural similarity at five scales (Wang et al. 2003, https://doi.org/10.1109/ACSSC.2003.1292216)."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gan_models.evaluation.metrics.ssim import WINDOW, in_batches, luminance_and_structure
from gan_models.evaluation.stats.intervals import Array

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first; they add up to 1
MIN_SIDE = WINDOW * 2 ** (len(WEIGHTS) - 1)  # so that the window fits into the coarsest scale


def ms_ssim(images: Tensor, originals: Tensor, batch_size: int = 16) -> Array:
    """Return the product of each scale's mean contrast and structure, to its weight, and of the last one's luminance.

    Each scale halves the one before by means of 2x2 pixels, and all means are over the valid region of the window, as
    in `ssim`. A scale whose mean is below zero counts as zero, since a root of it is not real. With fewer scales the
    weights mean something else, so that smaller images are refused, not measured otherwise.

    Args:
        images, originals: uint8 [N, C, H, W], H and W of 176 or more.
        batch_size: images at a time.

    Returns:
        float64 [N], in [0, 1].

    Raises:
        ValueError: the images are not uint8, the shapes differ, or the images are too small.
    """
    return in_batches("MS-SSIM", _ms_ssim, MIN_SIDE, images, originals, batch_size)


def _ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    product = torch.ones(len(x), dtype=torch.float64)
    for scale, weight in enumerate(WEIGHTS):
        luminance, structure = luminance_and_structure(x, y)
        if scale == len(WEIGHTS) - 1:
            structure = luminance * structure
        product *= structure.mean(dim=1).clamp(min=0) ** weight
        x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
    return product
