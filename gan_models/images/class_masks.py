"""Masks, which say in each pixel what is there: as numbers of classes, as values in files, and as colors to look at."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gan_models.config import MaskClasses

IGNORED = 255  # the number of a pixel of which nothing is said; there are at most 255 classes
IGNORED_COLOR = (224, 224, 224)


def numbers_of(masks: Tensor, classes: MaskClasses) -> Tensor:
    """Return the number of each pixel's class, uint8 [N, H, W], `IGNORED` where it has none.

    masks: uint8 [N, 1, H, W]
    """
    table = torch.full((256,), IGNORED, dtype=torch.uint8, device=masks.device)
    table[list(classes.values)] = torch.arange(len(classes.values), dtype=torch.uint8, device=masks.device)
    return table[masks[:, 0].long()]


def masks_of(numbers: Tensor, classes: MaskClasses) -> Tensor:
    """Return the masks, uint8 [N, 1, H, W], of numbers of classes, integer [N, H, W], none of them `IGNORED`."""
    values = torch.tensor(classes.values, dtype=torch.uint8, device=numbers.device)
    return values[numbers.long()].unsqueeze(1)


def maps_of(numbers: Tensor, num_classes: int) -> Tensor:
    """Return a map for each class, Float [N, K, H, W], 1 where the pixel is of it; all are 0 where it is ignored."""
    known = numbers != IGNORED
    maps = one_hot(torch.where(known, numbers, 0).long(), num_classes).permute(0, 3, 1, 2)
    return maps.float() * known.unsqueeze(1)


def colors_of(numbers: Tensor, channels: int = 3) -> Tensor:
    """Return numbers of classes, integer [N, H, W], as pictures, uint8 [N, channels, H, W].

    The colors of a class are those of its number in Pascal VOC; ignored pixels are nearly white.
    """
    palette = torch.tensor([_voc_color(number) for number in range(IGNORED)] + [IGNORED_COLOR], dtype=torch.uint8)
    pictures = palette.to(numbers.device)[numbers.long()].permute(0, 3, 1, 2)
    return pictures if channels == 3 else pictures.float().mean(dim=1, keepdim=True).to(torch.uint8)


def legend(classes: MaskClasses) -> str:
    """Return a sentence that names the color of each class."""
    colors = ("#{:02x}{:02x}{:02x}".format(*_voc_color(number)) for number in range(len(classes.names)))
    return "Colors: " + ", ".join(f"{name} {color}" for name, color in zip(classes.names, colors, strict=True)) + "."


def _voc_color(number: int) -> Sequence[int]:
    """Return the color of a class in Pascal VOC: its bits, lowest first, become the highest of red, green and blue."""
    color = [0, 0, 0]
    for bit in range(8):
        color[bit % 3] |= (number >> bit & 1) << 7 - bit // 3
    return color
