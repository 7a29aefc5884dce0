"""Restoring images with a bundle that edits."""

import torch
from torch import Tensor

from gan_models.inference.bundle import Bundle
from gan_models.recipes.base import to_float, to_uint8


@torch.inference_mode()
def restore(bundle: Bundle, images: Tensor, mask: Tensor | None, batch_size: int = 64) -> Tensor:
    """Restore degraded images.

    Args:
        images: uint8 [N, C, H, W] of any size from 8 x 8, C as in `image`.
        mask: uint8 or bool [N, 1, H, W], other than 0 where a pixel is missing: those are filled, and all the
            others come back as they were. None, or an empty mask: the whole image is restored.
        batch_size: images at a time.

    Returns:
        uint8 [N, C, H, W] on the CPU.

    Raises:
        ValueError: this model does not restore, or the shapes do not fit.
    """
    if bundle.task != "restore":
        raise ValueError(f"a {bundle.recipe.name} model generates images, it does not restore any")
    if images.ndim != 4 or images.shape[1] != bundle.image.channels or min(images.shape[2:]) < 8:
        expected = f"[N, {bundle.image.channels}, H, W] with H and W of 8 or more"
        raise ValueError(f"images should be uint8 {expected}, these are {list(images.shape)}")
    if mask is None:
        mask = torch.zeros(len(images), 1, *images.shape[2:], dtype=torch.bool)
    if mask.shape != (len(images), 1, *images.shape[2:]):
        raise ValueError(f"the mask {list(mask.shape)} does not fit images {list(images.shape)}")
    height, width = images.shape[2:]
    multiple: int = bundle.network.multiple  # type: ignore[assignment]
    rows, columns = _reflected(height, multiple), _reflected(width, multiple)
    restored = []
    for start in range(0, len(images), batch_size):
        part, holes = images[start : start + batch_size], mask[start : start + batch_size] != 0
        padded = to_float(part)[:, :, rows][:, :, :, columns].to(bundle.device)
        padded_holes = holes[:, :, rows][:, :, :, columns].float().to(bundle.device)
        filled = to_uint8(bundle.network(padded * (1 - padded_holes), padded_holes))[..., :height, :width].cpu()
        has_hole = holes.flatten(1).any(1).view(-1, 1, 1, 1)
        restored.append(torch.where(has_hole & ~holes, part.cpu(), filled))
    return torch.cat(restored)


def _reflected(length: int, multiple: int) -> Tensor:
    """Indices of a line of `length` pixels, continued by reflection to a whole number of `multiple`."""
    indices = torch.arange(-(-length // multiple) * multiple) % (2 * (length - 1))
    return torch.where(indices < length, indices, 2 * (length - 1) - indices)
