"""Low resolution: images reduced, by plain bicubic interpolation or as the real world does it, and enlarged again."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import interpolate

from gan_models.config import SuperResolution
from gan_models.images.degradations.real_chain import really_reduced
from gan_models.images.pixels import quantize


def reduced(images: Tensor, degradation: SuperResolution, seeds: Sequence[int]) -> Tensor:
    """Reduce images Float [N, C, H, W] in [-1, 1] by `factor` and enlarge them to what they were; not clamped."""
    height, width = images.shape[-2:]
    size = max(1, height // degradation.factor), max(1, width // degradation.factor)
    if degradation.chain == "real":
        small = really_reduced(images, size, seeds)
    else:
        small = interpolate(images, size=size, mode="bicubic", align_corners=False, antialias=True)
    return enlarged(quantize(small), (height, width))  # What gets enlarged is a file of 8 bits.


def enlarged(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge images Float [N, C, h, w] to [N, C, *size] by bicubic interpolation; not clamped."""
    return interpolate(images, size=size, mode="bicubic", align_corners=False)
