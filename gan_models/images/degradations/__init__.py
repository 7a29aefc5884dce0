"""What an editing model undoes: noise, holes, blur, low resolution, watermarks; one file each."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from gan_models.config import Deblur, Degradation, Denoise, Inpaint, SuperResolution
from gan_models.images.degradations.blur import blurred
from gan_models.images.degradations.holes import holes
from gan_models.images.degradations.noise import noisy
from gan_models.images.degradations.resolution import reduced
from gan_models.images.degradations.watermark import watermarked
from gan_models.images.pixels import quantize
from gan_models.images.randomness import Random


class Degraded(NamedTuple):
    """Images, Float [N, C, H, W] in [-1, 1], and their holes, Float [N, 1, H, W], 1 where a pixel is missing."""

    images: Tensor
    mask: Tensor


def degrade(images: Tensor, degradation: Degradation, random: Random) -> Degraded:
    """Degrade each image at random: `degrade_seeded` with `image_seeds`."""
    return degrade_seeded(images, degradation, image_seeds(len(images), random))


def image_seeds(num: int, random: Random) -> list[int]:
    """Draw a seed for each of `num` images: all that a degradation takes from `random`, which may be on any device."""
    seeds: list[int] = random.integers(num, 2**62).tolist()
    return seeds


def degrade_seeded(images: Tensor, degradation: Degradation, seeds: Sequence[int]) -> Degraded:
    """Degrade each image by its seed, on the device that the images are on.

    On a CPU the result for an image does not depend on the other images of the batch.

    Args:
        images: Float [N, C, H, W] in [-1, 1].
        degradation: a section of the config.
        seeds: one per image.

    Returns:
        Missing pixels are 0 (mid gray), and the known ones as they were. All degradations but holes leave the mask
        empty, and the images as an 8-bit file would hold them: in [-1, 1], on its 256 values.
    """
    if isinstance(degradation, Inpaint):
        mask = holes(degradation, seeds, images)
        return Degraded(images * (1 - mask), mask)
    empty = images.new_zeros(len(images), 1, *images.shape[-2:])
    if isinstance(degradation, Denoise):
        degraded = noisy(images, degradation, seeds)
    elif isinstance(degradation, Deblur):
        degraded = blurred(images, degradation, seeds)
    elif isinstance(degradation, SuperResolution):
        degraded = reduced(images, degradation, seeds)
    else:
        degraded = watermarked(images, degradation, seeds)
    return Degraded(quantize(degraded), empty)


__all__ = ["Degraded", "degrade", "degrade_seeded", "image_seeds"]
