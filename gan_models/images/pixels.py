"""Pixels as networks take them, Float in [-1, 1], and as files hold them, uint8 in [0, 255]."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def to_uint8(images: Tensor) -> Tensor:
    """Return Float images in [-1, 1], clamped, as uint8 in [0, 255]."""
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def to_float(images: Tensor) -> Tensor:
    """Return uint8 images in [0, 255] as Float in [-1, 1]."""
    return images.float() / 127.5 - 1


def quantize(images: Tensor) -> Tensor:
    """Return Float images as an 8-bit file would bring them back: in [-1, 1], on its 256 values."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def make_grid(images: Tensor, columns: int) -> Tensor:
    """Return images Float [N, C, H, W] in [-1, 1] as one picture, uint8 [C, rows * H, columns * W], row by row."""
    num, channels, height, width = images.shape
    assert num % columns == 0, "the rows of a picture are full"
    rows = to_uint8(images).reshape(num // columns, columns, channels, height, width)
    return rows.permute(2, 0, 3, 1, 4).reshape(channels, num // columns * height, columns * width).contiguous()


def require_uint8(*images: Tensor | NDArray[Any]) -> None:
    """Refuse images that are no 8-bit pixels: numbers and pictures made of them would be wrong without a word.

    Raises:
        ValueError: their type is another one than uint8.
    """
    for each in images:
        found = str(each.dtype).removeprefix("torch.")
        if found != "uint8":
            raise ValueError(
                f"images should be uint8, 0 to 255, and these are {found}; scale them to 0 to 255, round them and "
                "convert them, as `to_uint8` does of images from -1 to 1"
            )
