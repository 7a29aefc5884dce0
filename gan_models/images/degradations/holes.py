"""Holes: boxes and brush strokes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_models.config import Inpaint

MAX_STROKES = 5
STROKE_CORNERS = 4
HOLE_NUMBERS = 8 + MAX_STROKES * (3 + 2 * STROKE_CORNERS)  # So many random numbers describe one image's hole.


def holes(degradation: Inpaint, seeds: Sequence[int], images: Tensor) -> Tensor:
    """Draw masks for images [N, C, H, W], of their dtype, on their device: [N, 1, H, W], 1 where a pixel is missing."""
    own = torch.Generator(images.device)
    numbers = torch.stack(
        [torch.rand(HOLE_NUMBERS, generator=own.manual_seed(seed), device=images.device) for seed in seeds]
    )
    return _holes(numbers, degradation, images.shape[-2], images.shape[-1]).to(images.dtype)


def _holes(numbers: Tensor, degradation: Inpaint, height: int, width: int) -> Tensor:
    """Draw bool [N, 1, H, W]: boxes for about half of the images, strokes for the others.

    A target share is drawn from [share_min, share_max]. A box has that area. Strokes are polylines, and the brush is
    as thick as makes them cover it, so that both scale with the image.
    """
    side = float(min(height, width))
    rows = torch.arange(height, device=numbers.device).view(1, height, 1) + 0.5
    columns = torch.arange(width, device=numbers.device).view(1, 1, width) + 0.5
    area = (degradation.share_min + (degradation.share_max - degradation.share_min) * numbers[:, 0]) * height * width
    is_box = (numbers[:, 1] < 0.5).view(-1, 1, 1)

    aspect = torch.exp((numbers[:, 2] - 0.5) * 1.4)  # Height to width is from 1:2 to 2:1.
    box_height = (area * aspect).sqrt().clamp(max=height - 1.0)
    box_width = (area / box_height).clamp(max=width - 1.0)
    top = (numbers[:, 3] * (height - box_height)).view(-1, 1, 1)
    left = (numbers[:, 4] * (width - box_width)).view(-1, 1, 1)
    inside_rows = (rows >= top) & (rows < top + box_height.view(-1, 1, 1))
    box = inside_rows & (columns >= left) & (columns < left + box_width.view(-1, 1, 1))

    num_strokes = 1 + (numbers[:, 5] * MAX_STROKES).long().clamp(max=MAX_STROKES - 1)
    is_drawn = torch.arange(MAX_STROKES, device=numbers.device) < num_strokes.view(-1, 1)
    strokes = numbers[:, 8:].view(-1, MAX_STROKES, 3 + 2 * STROKE_CORNERS)
    corners = _polylines(strokes, side, height, width)
    distance = _distance_to(corners, rows, columns)  # [N, MAX_STROKES, H, W]
    distance = distance.masked_fill(~is_drawn.view(-1, MAX_STROKES, 1, 1), torch.inf).amin(1)
    # The pixels nearest to the lines, as many as the area asks for: a brush of just the right thickness.
    flat = distance.flatten(1)
    radius = flat.sort(dim=1).values.gather(1, area.long().clamp(1, flat.shape[1] - 1).view(-1, 1))
    stroke = distance < radius.view(-1, 1, 1)
    return torch.where(is_box, box, stroke).unsqueeze(1)


def _polylines(strokes: Tensor, side: float, height: int, width: int) -> Tensor:
    """Draw corners of strokes, Float [N, MAX_STROKES, STROKE_CORNERS + 1, 2] as (row, column), in pixels."""
    scale = strokes.new_tensor([height, width])
    start = strokes[..., :2].unsqueeze(2) * scale
    heading = 2 * torch.pi * (strokes[..., 2:3] + (strokes[..., 3 : 3 + STROKE_CORNERS] - 0.5).cumsum(-1) * 0.6)
    length = (0.05 + 0.2 * strokes[..., 3 + STROKE_CORNERS :]) * side
    moves = torch.stack([length * heading.sin(), length * heading.cos()], dim=-1)
    return torch.cat([start, start + moves.cumsum(2)], dim=2)


def _distance_to(corners: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the distance of every pixel to each polyline, Float [N, MAX_STROKES, H, W], in pixels."""
    start, end = corners[:, :, :-1], corners[:, :, 1:]
    nearest: Tensor | None = None
    for i in range(start.shape[2]):  # All segments at once would need many times the memory.
        a, along = start[:, :, i, :, None, None], (end - start)[:, :, i, :, None, None]
        down, right = rows - a[:, :, 0], columns - a[:, :, 1]
        share = (down * along[:, :, 0] + right * along[:, :, 1]) / along.square().sum(2).clamp(min=1e-6)
        share = share.clamp(0, 1)
        distance = torch.hypot(down - share * along[:, :, 0], right - share * along[:, :, 1])
        nearest = distance if nearest is None else torch.minimum(nearest, distance)
    assert nearest is not None, "a stroke has at least one segment"
    return nearest
