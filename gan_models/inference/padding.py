"""Images of any size for networks that halve them: continued by reflection to a size that they can halve."""

import torch
from torch import Tensor


def padded(images: Tensor, multiple: int) -> Tensor:
    """Continue images to the right and downwards by reflection, until both sides are multiples of `multiple`.

    Any number of reflections is made, so that images may be smaller than what is added. The result of a network is
    cut back by `[..., :height, :width]`.

    Args:
        images: [N, C, H, W] of any dtype, H and W of 2 or more.
        multiple: of which the sides are to be.
    """
    rows = _reflected(images.shape[-2], multiple).to(images.device)
    columns = _reflected(images.shape[-1], multiple).to(images.device)
    return images[:, :, rows][:, :, :, columns]


def _reflected(length: int, multiple: int) -> Tensor:
    """Return indices of a line of `length` pixels, continued by reflection to a whole number of `multiple`."""
    indices = torch.arange(-(-length // multiple) * multiple) % (2 * (length - 1))
    return torch.where(indices < length, indices, 2 * (length - 1) - indices)
