"""Images of any size for networks that halve them: continued by reflection to a size that they can halve."""

import torch
from torch import Tensor

from gan_models.images.pixels import require_uint8

MIN_SIDE = 8


def check_shape(images: Tensor, channels: int) -> None:
    """Raise a ValueError unless images are uint8 [N, channels, H, W] with both sides of `MIN_SIDE` or more."""
    require_uint8(images)
    if images.ndim != 4 or images.shape[1] != channels or min(images.shape[2:]) < MIN_SIDE:
        expected = f"[N, {channels}, H, W] with H and W of {MIN_SIDE} or more"
        raise ValueError(f"images should be uint8 {expected}, these are {list(images.shape)}")


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
