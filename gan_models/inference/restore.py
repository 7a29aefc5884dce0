"""Restoring images with a bundle that edits."""

import torch
from torch import Tensor

from gan_models.bundles.bundle import Bundle
from gan_models.images.degradations.resolution import enlarged
from gan_models.images.pixels import to_float, to_uint8
from gan_models.inference.padding import check_shape, padded


@torch.inference_mode()
def restore(bundle: Bundle, images: Tensor, mask: Tensor | None, batch_size: int = 64, scale: int = 1) -> Tensor:
    """Restore degraded images.

    Args:
        images: uint8 [N, C, H, W] of any size from 8 x 8, C as in `image`.
        mask: uint8 or bool [N, 1, H, W], other than 0 where a pixel is missing: those are filled, and all the
            others come back as they were. None, or an empty mask: the whole image is restored.
        batch_size: images at a time.
        scale: how many times larger, along each side, small images come back: they are enlarged by bicubic
            interpolation, as a model for super-resolution was trained to see them, and then restored.

    Returns:
        uint8 [N, C, scale * H, scale * W] on the CPU.

    Raises:
        ValueError: this model does not restore, the images are not uint8, the shapes do not fit, or there is a mask
            for images to be enlarged.
    """
    if bundle.task != "restore":
        raise ValueError(f"a {bundle.recipe.name} model generates images, it does not restore any")
    check_shape(images, bundle.image.channels)
    if mask is None:
        mask = torch.zeros(len(images), 1, *images.shape[2:], dtype=torch.bool)
    if mask.shape != (len(images), 1, *images.shape[2:]):
        raise ValueError(f"the mask {list(mask.shape)} does not fit images {list(images.shape)}")
    if scale < 1:
        raise ValueError(f"scale should be 1 or more, it is {scale}")
    if scale > 1 and mask.any():
        raise ValueError("holes and enlargement do not go together; fill the holes first, then enlarge the result")
    height, width = scale * images.shape[2], scale * images.shape[3]
    multiple: int = bundle.network.multiple  # type: ignore[assignment]
    restored = []
    for start in range(0, len(images), batch_size):
        part, holes = images[start : start + batch_size].to(bundle.device), mask[start : start + batch_size] != 0
        if scale > 1:
            part = to_uint8(enlarged(to_float(part), (height, width)))
            holes = torch.zeros(len(part), 1, height, width, dtype=torch.bool)
        holes = holes.to(bundle.device)
        missing = padded(holes, multiple).float()
        filled = to_uint8(bundle.network(padded(to_float(part), multiple) * (1 - missing), missing))
        has_hole = holes.flatten(1).any(1).view(-1, 1, 1, 1)
        restored.append(torch.where(has_hole & ~holes, part, filled[..., :height, :width]).cpu())
    return torch.cat(restored)
