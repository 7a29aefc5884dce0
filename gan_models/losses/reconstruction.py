"""Reconstruction."""

from torch import Tensor

NOISE_FLOOR = 2.5e-5  # A squared error of about 46 dB; less is not worth learning.


def negative_psnr(images: Tensor, targets: Tensor, region: Tensor) -> Tensor:
    """Return minus the PSNR of each image in decibels, the loss of NAFNet (Chen et al. 2022, arXiv 2204.04676).

    As a logarithm it heeds easy images as much as hard ones, where L1 heeds the hard ones and leaves stains on skies.

    Args:
        images: Float [N, C, H, W], on the scale of [-1, 1].
        targets: of the same shape.
        region: Float [N, 1, H, W], 1 where the error counts; not empty for any image.

    Returns:
        Float [N].
    """
    errors = (images - targets).square().mean(dim=1, keepdim=True) * region
    mean = errors.sum(dim=(1, 2, 3)) / region.sum(dim=(1, 2, 3)) / 4  # On the scale of [0, 1].
    return 10 * (mean + NOISE_FLOOR).log10()
