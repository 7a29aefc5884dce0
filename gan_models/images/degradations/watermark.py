"""Watermarks: text and logos blended over images, drawn by Pillow with its own font, one image at a time on the CPU."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan_models.config import Watermark

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
TEXT_HEIGHTS = (0.12, 0.3)  # The font, as a share of the shorter side; repeated text has half of it.
LOGO_RADII = (0.12, 0.3)
LARGEST_ANGLE = 45.0  # In degrees.
NUMBERS = 24  # So many random numbers describe one image's watermark.


def watermarked(images: Tensor, degradation: Watermark, seeds: Sequence[int]) -> Tensor:
    """Put a watermark on each of images Float [N, C, H, W] in [-1, 1]; they stay in [-1, 1].

    Half are white, a quarter black, and a quarter of any color. A third are one text, a third a text repeated in
    rows, and a third a logo with or without a text.
    """
    height, width = images.shape[-2:]
    channels, own = images.shape[1], torch.Generator()
    marks, colors = [], []
    for seed in seeds:
        opacity, tone, *numbers = torch.rand(NUMBERS, generator=own.manual_seed(seed)).tolist()
        strength = degradation.opacity_min + (degradation.opacity_max - degradation.opacity_min) * opacity
        marks.append(strength * _mark(height, width, numbers))
        colored = torch.rand(channels, generator=own) * 2 - 1
        colors.append(torch.full((channels,), 1.0 if tone < 0.5 else -1.0) if tone < 0.75 else colored)
    alpha = torch.stack(marks).unsqueeze(1).to(images.device)
    return images * (1 - alpha) + alpha * torch.stack(colors)[:, :, None, None].to(images.device)


def _mark(height: int, width: int, numbers: Sequence[float]) -> Tensor:
    """Draw what is covered, Float [H, W] in [0, 1], with soft edges."""
    kind, size, angle, down, right, count, with_text, *letters = numbers
    side, reach = min(height, width), math.ceil(math.hypot(height, width))
    # Drawn on a square that still covers the image when it is turned, and turned around the image's center.
    layer = Image.new("L", (reach, reach))
    pen = ImageDraw.Draw(layer)
    middle = (reach / 2 + (right - 0.5) * width / 2, reach / 2 + (down - 0.5) * height / 2)
    text = "".join(LETTERS[int(number * len(LETTERS))] for number in letters[: 3 + int(6 * count)])
    font_size = (TEXT_HEIGHTS[0] + (TEXT_HEIGHTS[1] - TEXT_HEIGHTS[0]) * size) * side
    if kind < 1 / 3:
        pen.text(middle, text, 255, ImageFont.load_default(max(6.0, font_size)), "mm")
    elif kind < 2 / 3:
        _rows_of(text, pen, reach, max(6.0, font_size / 2))
    else:
        radius = (LOGO_RADII[0] + (LOGO_RADII[1] - LOGO_RADII[0]) * size) * side
        _logo(pen, middle, radius, corners=3 + int(letters[8] * 6), filled=letters[9] < 0.3)
        if with_text < 0.5:
            under = (middle[0], middle[1] + 1.4 * radius)
            pen.text(under, text, 255, ImageFont.load_default(max(6.0, font_size / 2)), "mm")
    layer = layer.rotate((2 * angle - 1) * LARGEST_ANGLE, Image.Resampling.BICUBIC)
    top, left = (reach - height) // 2, (reach - width) // 2
    cut = np.asarray(layer, np.float32)[top : top + height, left : left + width] / 255
    return torch.from_numpy(cut.copy())


def _rows_of(text: str, pen: ImageDraw.ImageDraw, reach: int, font_size: float) -> None:
    font = ImageFont.load_default(font_size)
    across, down = font.getlength(text) + font_size, 2.2 * font_size
    for row in range(math.ceil(reach / down)):
        shift = across / 2 * (row % 2)
        for column in range(math.ceil(reach / across) + 1):
            pen.text((column * across - shift, row * down), text, 255, font)


def _logo(pen: ImageDraw.ImageDraw, middle: tuple[float, float], radius: float, corners: int, filled: bool) -> None:
    """Draw a ring around a polygon, or a filled disk."""
    x, y = middle
    line = max(1, round(radius / 6))
    box = (x - radius, y - radius, x + radius, y + radius)
    pen.ellipse(box, fill=255 if filled else None, outline=255, width=line)
    if not filled:
        pen.regular_polygon((x, y, 0.75 * radius), corners, fill=None, outline=255, width=line)
