"""Turning images into those of another domain with a bundle that translates."""

import torch
from torch import Tensor

from gan_models.bundles.bundle import Bundle
from gan_models.images.class_masks import masks_of
from gan_models.images.pixels import to_float, to_uint8
from gan_models.inference.padding import check_shape, padded
from gan_models.networks.resnet_generator import TranslationPair


@torch.inference_mode()
def translate(bundle: Bundle, images: Tensor, *, reverse: bool = False, batch_size: int = 64) -> Tensor:
    """Translate images.

    A pix2pix model is given what it was trained on: the first side of its pairs as it is, or where these were made from
    single images sketches, gray pictures, or photographs. Trained on masks, it answers masks with the
    same values.

    Args:
        images: uint8 [N, C, H, W] of any size from 8 x 8, C as in `image`.
        reverse: from the target domain to the source, with a model that has learned both ways.
        batch_size: images at a time.

    Returns:
        uint8 [N, C, H, W] on the CPU; masks are [N, 1, H, W].

    Raises:
        ValueError: this model does not translate, or not in this direction, or images are not uint8 of a fitting shape.
    """
    if bundle.task != "translate":
        raise ValueError(f"a {bundle.recipe.name} model does not translate images, its task is '{bundle.task}'")
    if reverse and not isinstance(bundle.network, TranslationPair):
        raise ValueError(f"a {bundle.recipe.name} model translates in one direction; a cyclegan model has both")
    check_shape(images, bundle.image.channels)
    height, width = images.shape[2:]
    multiple: int = bundle.network.multiple  # type: ignore[assignment]
    options = {"reverse": True} if reverse else {}
    classes, translated = bundle.recipe.mask_classes, []
    for start in range(0, len(images), batch_size):
        part = padded(to_float(images[start : start + batch_size].to(bundle.device)), multiple)
        outputs = bundle.network(part, **options)
        made = to_uint8(outputs) if classes is None else masks_of(outputs.argmax(dim=1), classes)
        translated.append(made[..., :height, :width].cpu())
    return torch.cat(translated)
