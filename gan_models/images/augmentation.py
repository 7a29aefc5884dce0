"""Augmentation on the device: random windows and flips of the data, and DiffAugment for discriminators."""

import torch
from torch import Tensor

from gan_models.images.randomness import Random

TRANSLATION = 1 / 8  # largest shift, as a share of the side
CUTOUT = 1 / 2  # side of the square set to 0, as a share of the side


def random_windows(images: Tensor, size: int, random: Random) -> Tensor:
    """A random `size` x `size` window of each image, [N, C, H, W] -> [N, C, size, size], dtype kept."""
    num, _, height, width = images.shape
    top = random.integers(num, height - size + 1, 1)
    left = random.integers(num, width - size + 1, 1)
    steps = torch.arange(size, device=images.device)
    return _gather(images, top + steps, left + steps)


def random_flips(images: Tensor, random: Random) -> Tensor:
    """Each image [N, C, H, W] mirrored left to right with probability one half."""
    flip = random.uniform(len(images), 1, 1, 1) < 0.5
    return torch.where(flip, images.flip(3), images)


def diff_augment(images: Tensor, random: Random) -> Tensor:
    """Brightness, contrast, translation and cutout, differentiable (Zhao et al. 2020, https://arxiv.org/abs/2006.10738).

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

    # The centre of the square may lie on the border, which leaves as little as a quarter of it inside.
    half_height, half_width = int(height * CUTOUT / 2), int(width * CUTOUT / 2)
    rows = row_steps - random.integers(num, height, 1)
    columns = column_steps - random.integers(num, width, 1)
    is_cut_row = (rows >= -half_height) & (rows < half_height)
    is_cut_column = (columns >= -half_width) & (columns < half_width)
    return images.masked_fill((is_cut_row[:, :, None] & is_cut_column[:, None, :]).unsqueeze(1), 0.0)


def _gather(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """images[n, :, rows[n], columns[n]] for rows [N, H] and columns [N, W], as [N, C, H, W]."""
    image = torch.arange(len(images), device=images.device)[:, None, None, None]
    channel = torch.arange(images.shape[1], device=images.device)[None, :, None, None]
    return images[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
