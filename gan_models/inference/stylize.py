"""Repainting images in a learned style, or in that of an example, with a bundle that stylizes."""

from typing import cast

import torch
from torch import Tensor

from gan_models.bundles.bundle import Bundle
from gan_models.data.image_set import windows
from gan_models.images.pixels import require_uint8, to_float, to_uint8
from gan_models.inference.padding import check_shape, padded
from gan_models.networks.style_bank import StyleBank
from gan_models.text import did_you_mean


@torch.inference_mode()
def stylize(
    bundle: Bundle,
    images: Tensor,
    *,
    style: int | str | None = None,
    style_image: Tensor | None = None,
    alpha: float = 1.0,
    batch_size: int = 64,
) -> Tensor:
    """Repaint images.

    Args:
        images: uint8 [N, C, H, W] of any size from 8 x 8, C as in `image`.
        style: a learned style, by name or index; of a model that has only one, it may be left out.
        style_image: in place of it, an image to take the style from, uint8 [C, H', W'], 8 x 8 or more.
        alpha: how much of the style, from 0, which gives the images back, to 1.
        batch_size: images at a time.

    Returns:
        uint8 [N, C, H, W] on the CPU.

    Raises:
        ValueError: this model does not stylize, there is no such style, or images are not uint8 of a shape that fits.
    """
    if bundle.task != "stylize":
        raise ValueError(f"a {bundle.recipe.name} model does not repaint images, its task is '{bundle.task}'")
    check_shape(images, bundle.image.channels)
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha should be from 0 to 1, and is {alpha}")
    if style is not None and style_image is not None:
        raise ValueError("a style and a style image were given; choose one of them")
    network = cast(StyleBank, bundle.network)
    if style_image is None:
        wanted = network.learned_styles(torch.tensor([_index(bundle, style)], device=bundle.device))
    else:
        wanted = _style_of_example(bundle, style_image, batch_size)
    height, width = images.shape[2:]
    painted = []
    for start in range(0, len(images), batch_size):
        part = padded(to_float(images[start : start + batch_size].to(bundle.device)), network.multiple)
        part = part.contiguous(memory_format=torch.channels_last)
        done = bundle.network(part, wanted.expand(len(part), -1), alpha)
        painted.append(to_uint8(done)[..., :height, :width].cpu())
    return torch.cat(painted)


def _index(bundle: Bundle, style: int | str | None) -> int:
    """Return the index of a learned style. Paintings without labels are one style, without a name."""
    names = bundle.label_names
    known = f"the model has learned {', '.join(names) or 'one style, without a name: 0'}"
    if style is None:
        if len(names) > 1:
            raise ValueError(f"a style or a style image is needed; {known}")
        return 0
    if isinstance(style, str):
        if style not in names:
            raise ValueError(f"there is no style '{style}'; {did_you_mean(style, names) if names else known}")
        return names.index(style)
    if not 0 <= style < max(1, len(names)):
        raise ValueError(f"there is no style {style}; {known}")
    return style


def _style_of_example(bundle: Bundle, image: Tensor, batch_size: int) -> Tensor:
    """Return the mean style over windows of an image, Float [1, style_size].

    Windows have the size that the model was trained on: the deviation within them is what it knows, not the larger one
    within a whole painting. An image without room for one is taken whole.
    """
    require_uint8(image)
    if image.ndim != 3 or image.shape[0] != bundle.image.channels or min(image.shape[1:]) < 8:
        expected = f"[{bundle.image.channels}, H, W] with H and W of 8 or more"
        raise ValueError(f"a style image should be uint8 {expected}, this one is {list(image.shape)}")
    size = bundle.image.size
    parts = windows(image[None], size) if min(image.shape[1:]) >= size else image[None]
    network = cast(StyleBank, bundle.network)
    styles = [network.style_of(to_float(part.to(bundle.device))) for part in parts.split(batch_size)]  # type: ignore[no-untyped-call]
    return torch.cat(styles).mean(dim=0, keepdim=True)
