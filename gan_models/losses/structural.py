"""Structural similarity as a loss."""

import torch
from torch import Tensor

WINDOW = 11  # In pixels.
SIGMA = 1.5
STABILISERS = 0.01**2, 0.03**2


def structural_dissimilarity(images: Tensor, targets: Tensor) -> Tensor:
    """Return 1 - SSIM of each image (Wang et al. 2004; as a loss, Zhao et al. 2017, https://arxiv.org/abs/1511.08861).

    It heeds faint texture, which squared errors give up for smoothness: with them, not in their place.

    Args:
        images: Float [N, C, H, W], on the scale of [-1, 1]; H and W of 11 or more.
        targets: of the same shape.

    Returns:
        Float [N], 0 where they are equal.

    Raises:
        ValueError: the images are smaller than the window.
    """
    height, width = images.shape[-2:]
    if min(height, width) < WINDOW:
        raise ValueError(f"SSIM takes {WINDOW}x{WINDOW} pixels or more, these are {height}x{width}; set ssim_weight 0")
    x, y = (images + 1) / 2, (targets + 1) / 2  # Black is 0, as the luminance term compares ratios of means.
    moments = torch.stack([x, y, x * x, y * y, x * y])
    smoothed = _window_means(height, x.device) @ moments @ _window_means(width, x.device).T
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = smoothed
    variances = mean_xx - mean_x.square() + mean_yy - mean_y.square()
    covariance = mean_xy - mean_x * mean_y
    c1, c2 = STABILISERS
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    similarity: Tensor = luminance * (2 * covariance + c2) / (variances + c2)
    return 1 - similarity.mean(dim=(1, 2, 3))


def _window_means(length: int, device: torch.device) -> Tensor:
    """Return the Gaussian window at each place of a line where it fits: Float [length - 10, length], rows of sum 1."""
    places = torch.arange(length, device=device, dtype=torch.float32)
    offsets = places - places[WINDOW // 2 : length - WINDOW // 2].unsqueeze(1)
    weights = torch.exp(-offsets.square() / (2 * SIGMA**2)) * (offsets.abs() <= WINDOW // 2)
    return weights / weights.sum(dim=1, keepdim=True)
