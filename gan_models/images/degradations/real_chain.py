"""How real images lose their resolution: the two-order chain of Real-ESRGAN (Wang et al. 2021, arXiv 2107.10833).

Blur, resize, noise and JPEG compression, all at random, twice; the last resize is to the size asked for. Kernels are
Gaussians, round or stretched: the paper's generalized ones, and its sinc filters, which imitate ringing, are left out.
JPEG is the real codec (Pillow's, on the CPU), one image at a time.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from gan_models.images.degradations.blur import convolved, gaussian_kernel

MODES = ("area", "bilinear", "bicubic")
LEAST_SIDE = 8  # No image is resized below so many pixels on the way.
NUMBERS = 16  # An order takes at most so many random numbers.


@dataclass(frozen=True)
class Order:
    """The ranges of one pass through the chain, as in section 4.1 of the paper.

    blur: chance of a blur, and its sigma, pixels. up, down: chances of resizing either way, and `scale` its range.
    gaussian: noise's sigma on the 0-255 scale; poisson: its strength, 1 being one photon per gray level.
    """

    blur_chance: float
    blur: tuple[float, float]
    up: float
    down: float
    scale: tuple[float, float]
    gaussian: tuple[float, float]
    poisson: tuple[float, float]
    quality: tuple[int, int] = (30, 95)


FIRST = Order(1.0, (0.2, 3.0), 0.2, 0.7, (0.15, 1.5), (1.0, 30.0), (0.05, 3.0))
SECOND = Order(0.8, (0.2, 1.5), 0.3, 0.4, (0.3, 1.2), (1.0, 25.0), (0.05, 2.5))
GRAY_NOISE = 0.4  # The chance that noise is the same in all channels.


def really_reduced(images: Tensor, size: tuple[int, int], seeds: Sequence[int]) -> Tensor:
    """Send images Float [N, C, H, W] in [-1, 1] each through a chain of its own to [N, C, *size], in [-1, 1]."""
    return torch.cat(
        [_through_chain(image.unsqueeze(0), size, seed) for image, seed in zip(images, seeds, strict=True)]
    )


def _through_chain(image: Tensor, size: tuple[int, int], seed: int) -> Tensor:
    own = torch.Generator().manual_seed(seed)
    once = _pass(image, FIRST, None, own)
    return _pass(once, SECOND, size, own)


def _pass(image: Tensor, order: Order, size: tuple[int, int] | None, own: torch.Generator) -> Tensor:
    """Send [1, C, H, W] through one order, and to `size` at its end where one is given."""
    draw = iter(torch.rand(NUMBERS, generator=own).tolist())
    blurs = next(draw) < order.blur_chance
    along, stretch, angle = _between(order.blur, next(draw)), 0.25 + 0.75 * next(draw), math.pi * next(draw)
    if blurs:
        radius = min(math.ceil(3 * along), min(image.shape[-2:]) - 1)
        across = along if next(draw) < 0.5 else stretch * along
        kernel = gaussian_kernel(along, across, angle, radius).to(image.device)
        image = convolved(image[0], kernel).unsqueeze(0)
    way, where, mode = next(draw), next(draw), MODES[min(2, int(3 * next(draw)))]
    scale = 1.0
    if way < order.up:
        scale = _between((1.0, order.scale[1]), where)
    elif way < order.up + order.down:
        scale = _between((order.scale[0], 1.0), where)
    height, width = (max(min(LEAST_SIDE, side), round(side * scale)) for side in image.shape[-2:])
    image = _resized(image, (height, width), mode)
    image = _with_noise(image, order, next(draw), next(draw), next(draw) < GRAY_NOISE, own)
    if size is not None:
        image = _resized(image, size, MODES[min(2, int(3 * next(draw)))])
    return _as_jpeg(image, round(_between(order.quality, next(draw))))


def _with_noise(image: Tensor, order: Order, which: float, strength: float, gray: bool, own: torch.Generator) -> Tensor:
    shape = (1, 1, *image.shape[-2:]) if gray else image.shape
    unit = torch.randn(shape, generator=own).to(image.device)
    if which < 0.5:
        return (image + unit * _between(order.gaussian, strength) / 127.5).clamp(-1, 1)
    # Photons are many here, and a Poisson number of many is nearly normal, of a variance equal to its mean.
    levels = (image.mean(dim=1, keepdim=True) if gray else image).clamp(-1, 1) * 127.5 + 127.5
    return (image + unit * levels.sqrt() * _between(order.poisson, strength) / 127.5).clamp(-1, 1)


def _resized(image: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    if mode == "area":
        return interpolate(image, size=size, mode="area")
    return interpolate(image, size=size, mode=mode, align_corners=False, antialias=True).clamp(-1, 1)


def _as_jpeg(image: Tensor, quality: int) -> Tensor:
    """Write [1, C, H, W] as a JPEG file and read it again."""
    pixels = ((image[0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(content, "JPEG", quality=quality)
    with Image.open(content) as picture:
        read = torch.from_numpy(np.array(picture).reshape(pixels.shape))
    return (read.permute(2, 0, 1).unsqueeze(0).float() / 127.5 - 1).to(image.device)


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * share
