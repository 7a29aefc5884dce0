"""Blur: Gaussian kernels, round or stretched, and those of a camera that moves."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from gan_models.config import Deblur

REFERENCE_SIDE = 64  # Sigmas are given for an image of so many pixels a side.
LEAST_STRETCH = 0.25  # The shortest axis of a kernel, as a share of its longest.
LARGEST_BEND = 0.75 * math.pi  # How far a camera turns while it moves, in radians.
PATH_POINTS = 65
PATH_SIGMA = 0.5  # The width of the line that a moving camera draws, in pixels.
KERNEL_NUMBERS = 5


def blurred(images: Tensor, degradation: Deblur, seeds: Sequence[int]) -> Tensor:
    """Blur images Float [N, C, H, W] in [-1, 1], each by a kernel of its own, continued by reflection; not clamped."""
    own = torch.Generator(images.device)
    kernels = blur_kernels(degradation, seeds, min(images.shape[-2:])).to(images.device)
    done = []
    for image, kernel, seed in zip(images, kernels, seeds, strict=True):
        noise = torch.randn(image.shape, generator=own.manual_seed(seed), device=image.device)
        done.append(convolved(image, kernel) + noise * degradation.noise / 127.5)
    return torch.stack(done)


def blur_kernels(degradation: Deblur, seeds: Sequence[int], side: int) -> Tensor:
    """Draw the kernels of images whose shorter side is `side`: Float [N, K, K] on the CPU, K odd, each of sum 1."""
    scale = side / REFERENCE_SIDE
    radius = min(math.ceil(3 * degradation.sigma_max * scale), side - 1)
    own = torch.Generator()
    numbers = [torch.rand(KERNEL_NUMBERS, generator=own.manual_seed(seed)).tolist() for seed in seeds]
    kernels = []
    for which, strength, angle, shape, side_of_bend in numbers:
        sigma = (degradation.sigma_min + (degradation.sigma_max - degradation.sigma_min) * strength) * scale
        kind = degradation.kernel
        if kind == "any":
            kind = ("isotropic", "anisotropic", "motion")[min(2, int(3 * which))]
        if kind == "motion":
            bend = LARGEST_BEND * shape * (1 if side_of_bend < 0.5 else -1)
            kernels.append(_motion(sigma, 2 * math.pi * angle, bend, radius))
        else:
            stretch = 1.0 if kind == "isotropic" else LEAST_STRETCH + (1 - LEAST_STRETCH) * shape
            kernels.append(gaussian_kernel(sigma, stretch * sigma, math.pi * angle, radius))
    return torch.stack(kernels)


def gaussian_kernel(along: float, across: float, angle: float, radius: int) -> Tensor:
    """Return a Gaussian, Float [2 * radius + 1] squared, of sum 1. Deviations in pixels, `angle` in radians."""
    rows, columns = _offsets(radius)
    u = columns * math.cos(angle) + rows * math.sin(angle)
    v = rows * math.cos(angle) - columns * math.sin(angle)
    kernel = torch.exp(-0.5 * ((u / along).square() + (v / across).square()))
    return kernel / kernel.sum()


def convolved(image: Tensor, kernel: Tensor) -> Tensor:
    """Convolve an image Float [C, H, W] with a kernel [K, K], continued by reflection. K // 2 is less than H and W."""
    radius = kernel.shape[0] // 2
    continued = pad(image.unsqueeze(1), (radius, radius, radius, radius), mode="reflect")
    return conv2d(continued, kernel.flip(0, 1)[None, None]).squeeze(1)


def _motion(sigma: float, angle: float, bend: float, radius: int) -> Tensor:
    """Return an arc whose points have the deviation `sigma` along it, as long as a straight line of that deviation."""
    length = math.sqrt(12) * sigma
    time = torch.linspace(-0.5, 0.5, PATH_POINTS)
    heading = angle + bend * time
    path = torch.stack([heading.sin(), heading.cos()]).cumsum(1) * length / PATH_POINTS
    path = path - path.mean(dim=1, keepdim=True)
    rows, columns = _offsets(radius)
    distance = (rows.unsqueeze(-1) - path[0]).square() + (columns.unsqueeze(-1) - path[1]).square()
    kernel = torch.exp(-0.5 * distance / PATH_SIGMA**2).sum(-1)
    return kernel / kernel.sum()


def _offsets(radius: int) -> tuple[Tensor, Tensor]:
    steps = torch.arange(-radius, radius + 1, dtype=torch.float32)
    return steps.view(-1, 1), steps.view(1, -1)
