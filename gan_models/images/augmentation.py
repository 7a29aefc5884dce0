"""Augmentation on the device: random windows and flips of the data, and what discriminators see images through.

None of it samples a grid, whose second derivative, needed for gradient penalties, not every release of PyTorch has.
"""

import math

import torch
from torch import Tensor

from gan_models.images.randomness import Random

TRANSLATION = 1 / 8  # The largest shift, as a share of the side.
CUTOUT = 1 / 2  # The side of the square set to 0, as a share of the image's.
SCALE_OCTAVES = 0.2  # The deviations are those of Karras et al. 2020, appendix B.
BRIGHTNESS = 0.2
CONTRAST_OCTAVES = 0.5
SATURATION_OCTAVES = 1.0


def random_windows(images: Tensor, size: int, random: Random) -> Tensor:
    """Cut a random `size` x `size` window from each image, [N, C, H, W] -> [N, C, size, size], dtype kept."""
    num, _, height, width = images.shape
    top = random.integers(num, height - size + 1, 1)
    left = random.integers(num, width - size + 1, 1)
    steps = torch.arange(size, device=images.device)
    return _gather(images, top + steps, left + steps)


def random_flips(images: Tensor, random: Random) -> Tensor:
    """Mirror each image [N, C, H, W] left to right with probability one half."""
    flip = random.uniform(len(images), 1, 1, 1) < 0.5
    return torch.where(flip, images.flip(3), images)


def diff_augment(images: Tensor, random: Random) -> Tensor:
    """Change brightness, contrast, position and a cut out square, differentiably (Zhao et al. 2020, arXiv 2006.10738).

    Args:
        images: Float [N, C, H, W] in [-1, 1]; real and fake images are both to pass through it.
        random: on the device of the images.
    """
    num, _, height, width = images.shape
    images = images + random.uniform(num, 1, 1, 1) - 0.5
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (images - mean) * (random.uniform(num, 1, 1, 1) + 0.5) + mean

    row_steps, column_steps = (torch.arange(length, device=images.device) for length in (height, width))
    down, right = int(height * TRANSLATION + 0.5), int(width * TRANSLATION + 0.5)
    padded = torch.nn.functional.pad(images, (right, right, down, down))
    top = random.integers(num, 2 * down + 1, 1)
    left = random.integers(num, 2 * right + 1, 1)
    images = _gather(padded, top + row_steps, left + column_steps)

    return images.masked_fill(_squares(images, random), 0.0)


def random_augment(images: Tensor, probability: Tensor | float, random: Random) -> Tensor:
    """Apply each transformation to each image with `probability`: adaptive augmentation's pipeline, differentiable.

    Karras et al. 2020, https://arxiv.org/abs/2006.06676, appendix B: scaling, translation, brightness, contrast,
    saturation, hue and cutout. Left out are flips and rotations, which turn a digit into another sign.

    Args:
        images: Float [N, C, H, W] in [-1, 1]; real and fake images are both to pass through it.
        probability: scalar in [0, 1]. The random numbers are drawn, and the work is done, at 0 too.
        random: on the device of the images.
    """
    num, channels = images.shape[:2]

    def chosen() -> Tensor:
        return random.uniform(num) < probability

    def octaves(deviation: float) -> Tensor:
        return torch.where(chosen(), torch.exp2(deviation * random.normal(num)), 1.0)

    scale = octaves(SCALE_OCTAVES)
    shift = torch.where(chosen()[:, None], (random.uniform(num, 2) * 2 - 1) * TRANSLATION, 0.0)
    images = _resample(images, scale, shift)
    images = images + torch.where(chosen(), BRIGHTNESS * random.normal(num), 0.0).view(num, 1, 1, 1)
    images = images * octaves(CONTRAST_OCTAVES).view(num, 1, 1, 1)
    if channels == 3:
        angle = torch.where(chosen(), (random.uniform(num) * 2 - 1) * math.pi, 0.0)
        images = _turn_colors(images, octaves(SATURATION_OCTAVES), angle)
    return images.masked_fill(_squares(images, random) & chosen().view(num, 1, 1, 1), 0.0)


def _resample(images: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Magnify images by scale [N] about their center and move them by shift [N, 2], a share of height and width.

    Linear interpolation along columns, then rows, as products with a matrix each; the border is repeated outwards.
    """
    for axis, equation in ((2, "nyh,nchw->ncyw"), (3, "nxw,nchw->nchx")):
        length = images.shape[axis]
        pixels = torch.arange(length, device=images.device)
        center = (length - 1) / 2
        places = (pixels - center - shift[:, axis - 2, None] * length) / scale[:, None] + center
        distances = places.clamp(0, length - 1)[:, :, None] - pixels
        images = torch.einsum(equation, (1 - distances.abs()).clamp(min=0).to(images.dtype), images)
    return images


def _turn_colors(images: Tensor, saturation: Tensor, angle: Tensor) -> Tensor:
    """Turn RGB images [N, 3, H, W] about the axis of grays by angle [N] (hue), and scale color by saturation [N]."""
    gray = torch.full((3, 3), 1 / 3, device=images.device)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=images.device) / math.sqrt(3)
    cosine, sine = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    turn = cosine * (torch.eye(3, device=images.device) - gray) + sine * cross
    matrix = gray + saturation.view(-1, 1, 1) * turn
    return torch.einsum("ndc,nchw->ndhw", matrix.to(images.dtype), images)


def _squares(images: Tensor, random: Random) -> Tensor:
    """Return a square of each image, bool [N, 1, H, W]; a center on the border leaves a quarter of it."""
    num, _, height, width = images.shape
    is_cut = []
    for length in (height, width):
        half = int(length * CUTOUT / 2)
        distance = torch.arange(length, device=images.device) - random.integers(num, length, 1)
        is_cut.append((distance >= -half) & (distance < half))
    return (is_cut[0][:, :, None] & is_cut[1][:, None, :]).unsqueeze(1)


def _gather(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return images[n, :, rows[n], columns[n]] for rows [N, H] and columns [N, W], as [N, C, H, W]."""
    image = torch.arange(len(images), device=images.device)[:, None, None, None]
    channel = torch.arange(images.shape[1], device=images.device)[None, :, None, None]
    return images[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
