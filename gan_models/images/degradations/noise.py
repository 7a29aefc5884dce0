"""Noise: Gaussian, or of photons."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_models.config import Denoise


def noisy(images: Tensor, degradation: Denoise, seeds: Sequence[int]) -> Tensor:
    """Add noise to images Float [N, C, H, W] in [-1, 1]; they are not clamped."""
    own = torch.Generator(images.device)
    noised = []
    for image, seed in zip(images, seeds, strict=True):
        sigma = _sigma(degradation, own.manual_seed(seed))
        if degradation.noise == "gaussian":
            noise = torch.randn(image.shape, generator=own, device=image.device) * sigma / 127.5
            noised.append(image + noise)
        else:
            photons = 0.5 * (255 / sigma) ** 2  # At white. Of middle gray, half as many, they deviate by sigma.
            counts = torch.poisson((image + 1) / 2 * photons, generator=own)
            noised.append(counts / photons * 2 - 1)
    return torch.stack(noised)


def noise_levels(degradation: Denoise, seeds: Sequence[int], device: torch.device | str = "cpu") -> list[float]:
    """Return sigma of each image's noise, on the 0-255 scale, for methods that are given it; `device`: the images'."""
    own = torch.Generator(device)
    return [float(_sigma(degradation, own.manual_seed(seed))) for seed in seeds]


def _sigma(degradation: Denoise, own: torch.Generator) -> Tensor:
    low, high = degradation.sigma_min, degradation.sigma_max
    return low + (high - low) * torch.rand(1, generator=own, device=own.device)
