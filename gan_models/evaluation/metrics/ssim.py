"""Structural similarity (Wang et al. 2004), as scikit-image computes it.

torchmetrics has the same map but averages it over a reflected border too, which the paper leaves out, and it takes
several seconds to import.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from gan_models.evaluation.stats.intervals import Array
from gan_models.images.pixels import require_uint8

WINDOW = 11
SIGMA = 1.5
RANGE = 255.0
STABILISERS = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2


def ssim(images: Tensor, originals: Tensor, batch_size: int = 64) -> Array:
    """Return SSIM of each image: 11x11 Gaussian window of sigma 1.5, population covariance, mean over the valid region.

    Args:
        images, originals: uint8 [N, C, H, W], H and W of 11 or more.
        batch_size: images at a time.

    Returns:
        float64 [N], at most 1.

    Raises:
        ValueError: the images are not uint8, the shapes differ, or the images are smaller than the window.
    """
    return in_batches("SSIM", _ssim, WINDOW, images, originals, batch_size)


def in_batches(
    name: str,
    score: Callable[[Tensor, Tensor], Tensor],
    min_side: int,
    images: Tensor,
    originals: Tensor,
    batch_size: int,
) -> Array:
    """Return `score`, of two float64 [n, C, H, W] to float64 [n], of uint8 [N, C, H, W] in batches: float64 [N].

    Raises:
        ValueError: the images are not uint8, the shapes differ, or a side of the images is below `min_side` pixels.
    """
    require_uint8(images, originals)
    if images.shape != originals.shape:
        raise ValueError(f"images {list(images.shape)} and originals {list(originals.shape)} should be of one shape")
    if min(images.shape[2:]) < min_side:
        raise ValueError(f"{name} takes images of {min_side}x{min_side} or more, these are {list(images.shape[2:])}")
    pairs = zip(images.split(batch_size), originals.split(batch_size), strict=True)  # type: ignore[no-untyped-call]
    values: Array = torch.cat([score(one.double(), other.double()) for one, other in pairs]).numpy()
    return values


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    luminance, structure = luminance_and_structure(x, y)
    per_image: Tensor = (luminance * structure).mean(dim=1)
    return per_image


def luminance_and_structure(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two factors of SSIM at each place of the valid region: eq. 6, and eq. 9 times eq. 10.

    Args:
        x, y: float64 [N, C, H, W] in [0, 255].

    Returns:
        Two float64 [N, C * (H - 10) * (W - 10)].
    """
    num, _, height, width = x.shape
    moments = torch.stack([x, y, x * x, y * y, x * y])
    smoothed = _window_means(height) @ moments @ _window_means(width).T
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = smoothed.reshape(5, num, -1)
    variance_x, variance_y = mean_xx - mean_x.square(), mean_yy - mean_y.square()
    covariance = mean_xy - mean_x * mean_y
    c1, c2 = STABILISERS
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return luminance, structure


def _window_means(length: int) -> Tensor:
    """Return the Gaussian window at each place of a line, float64 [length - 10, length]; faster than a convolution."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-offsets.square() / (2 * SIGMA**2))
    places = torch.arange(length - WINDOW + 1)
    matrix = torch.zeros(len(places), length, dtype=torch.float64)
    for i, weight in enumerate(weights / weights.sum()):
        matrix[places, places + i] = weight
    return matrix
