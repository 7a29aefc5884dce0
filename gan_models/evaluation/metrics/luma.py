"""The luma that `_y` metrics compare: what the literature on restoration reports, since eyes see it best."""

import torch
from torch import Tensor

from gan_models.images.pixels import require_uint8

WEIGHTS = (65.481, 128.553, 24.966)  # of R, G and B in [0, 1]
OFFSET = 16.0


def luma(images: Tensor) -> Tensor:
    """Return Y of YCbCr, in ITU-R BT.601's studio range of 16 to 235, rounded to 8 bits.

    It is what MATLAB's and scikit-image's `rgb2ycbcr` give; the data range of the metrics stays 255, as in the
    literature.

    Args:
        images: uint8 [N, 3, H, W], RGB.

    Returns:
        uint8 [N, 1, H, W].

    Raises:
        ValueError: the images are not uint8.
    """
    require_uint8(images)
    weights = torch.tensor(WEIGHTS, dtype=torch.float64).view(1, 3, 1, 1) / 255
    return ((images * weights).sum(dim=1, keepdim=True) + OFFSET).round().to(torch.uint8)
