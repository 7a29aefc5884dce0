"""What images are turned from and into, made from the images themselves: sketches, gray, and tones."""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

ConditionKind = Literal["edges", "gray", "image", "tones"]

LUMINANCE = (0.299, 0.587, 0.114)  # The weights of RGB (ITU-R BT.601).
INK = 8.0  # A line is black where a pixel is darker than its surroundings by 1 / INK of them.
FAINT = 0.05  # Differences at this luminance are drawn half as dark, so that noise in shadows makes no lines.
NUM_TONES = 3
NUM_BINS = 64  # Thresholds are found in a histogram of so many bins.


def condition(images: Tensor, kind: ConditionKind) -> Tensor:
    """Turn images into one side of a pair. The same images give the same pixels, whatever batch they are in.

    Args:
        images: Float [N, C, H, W] in [-1, 1].
        kind: "edges", an ink drawing; "gray", the luminance; "tones", dark, middle and light; "image", as they are.

    Returns:
        Float [N, C, H, W] in [-1, 1]; but for "image", all channels are the same.
    """
    if kind == "image":
        return images
    if kind == "tones":
        plane = levels_of(tones_in(images))
    else:
        gray = luminance(images)
        plane = _sketch(gray) if kind == "edges" else 2 * gray - 1
    return plane.expand_as(images).contiguous()


def luminance(images: Tensor) -> Tensor:
    """Return the luminance of images Float [N, C, H, W] in [-1, 1], as Float [N, 1, H, W] in [0, 1]."""
    if images.shape[1] == 1:
        return (images + 1) / 2
    weights = torch.tensor(LUMINANCE, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
    return ((images * weights).sum(dim=1, keepdim=True) + 1) / 2


def tones_in(images: Tensor) -> Tensor:
    """Return each pixel's tone, dark 0, middle 1 or light 2, int64 [N, H, W], of images Float [N, C, H, W] in [-1, 1].

    The luminance, smoothed by two 5x5 boxes, cut at two thresholds that are each image's own: those that make the
    variance between the tones the largest (Otsu 1979; for several thresholds Liao et al. 2001).
    """
    bins = (_smoothed(luminance(images))[:, 0] * NUM_BINS).long().clamp(0, NUM_BINS - 1)
    thresholds = _otsu_thresholds(bins)
    return (bins[:, None] > thresholds[:, :, None, None]).sum(dim=1)


def levels_of(tones: Tensor) -> Tensor:
    """Return tones int64 [N, H, W] as gray levels, Float [N, 1, H, W]: black, middle gray and white, -1, 0 and 1."""
    return (tones.float() - 1).unsqueeze(1)


def tones_of(images: Tensor) -> Tensor:
    """Return the tones, int64 [N, H, W], whose levels are nearest to images Float [N, C, H, W] in [-1, 1]."""
    return (images.float().mean(dim=1) * 1.5 + 1.5).long().clamp(0, NUM_TONES - 1)


def _smoothed(gray: Tensor) -> Tensor:
    """Smooth [N, 1, H, W] by two 5x5 boxes."""
    for _ in range(2):
        gray = avg_pool2d(pad(gray, (2, 2, 2, 2), mode="reflect"), 5, stride=1)
    return gray


def _sketch(gray: Tensor) -> Tensor:
    """Draw dark lines on white paper, on the dark side of each edge of the luminance [N, 1, H, W].

    The luminance divided by itself smoothed, which leaves evenly lit surfaces white, whatever their tone: what artists
    call dodging a negative. Unlike the length of a gradient, it says which side of an edge is the darker.
    """
    surroundings = _smoothed(gray)
    darker = (surroundings - gray) / (surroundings + FAINT)
    return 1 - 2 * (INK * darker).clamp(0, 1)


def _otsu_thresholds(bins: Tensor) -> Tensor:
    """Return the last bin of the dark and of the middle tone, int64 [N, 2], of bins int64 [N, H, W]."""
    num = len(bins)
    offsets = torch.arange(num, device=bins.device).view(-1, 1, 1) * NUM_BINS
    histogram = torch.bincount((bins + offsets).flatten(), minlength=num * NUM_BINS).view(num, NUM_BINS).double()
    # The number of pixels up to each bin, and the sum of their values.
    count = torch.cat([histogram.new_zeros(num, 1), histogram.cumsum(dim=1)], dim=1)
    values = histogram * torch.arange(NUM_BINS, device=bins.device)
    total = torch.cat([histogram.new_zeros(num, 1), values.cumsum(dim=1)], dim=1)
    first, second = torch.combinations(torch.arange(1, NUM_BINS, device=bins.device)).unbind(dim=1)
    ends = torch.zeros_like(first), first, second, torch.full_like(first, NUM_BINS)
    between = histogram.new_zeros(num, len(first))
    for start, end in pairwise(ends):
        size, content = count[:, end] - count[:, start], total[:, end] - total[:, start]
        between += content.square() / size.clamp(min=1)  # An empty tone adds nothing.
    best = between.argmax(dim=1)
    return torch.stack([first[best], second[best]], dim=1) - 1
