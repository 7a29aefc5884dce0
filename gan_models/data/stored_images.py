"""Images of a shard, decoded as a model wants them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gan_models.config import ImageConfig
from gan_models.data.fit import fitted
from gan_models.data.shards import DataError
from gan_models.ingest.decoding import DecodingLimits, UnreadableImageError, decode

Pixels = npt.NDArray[np.uint8]


def png_decoder(shape: tuple[int, int, int]) -> Callable[[bytes], Pixels | None]:
    """Return what decodes a PNG of `shape` in half of Pillow's time, and returns None for any other image."""
    import torch
    import torchvision.io  # noqa: F401  registers the operator

    # The operator itself: the function around it takes a fifth of the time to warn that it is to move.
    decode_png = torch.ops.image.decode_png

    def decode_quickly(data: bytes) -> Pixels | None:
        try:
            pixels: Pixels = decode_png(torch.frombuffer(bytearray(data), dtype=torch.uint8), 0, False).numpy()
        except RuntimeError:
            return None
        return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None

    return decode_quickly


def decode_stored(path: Path, id_: str, data: bytes, image: ImageConfig, *, are_masks: bool = False) -> Pixels:
    """Decode a stored image to [C, H, W], in the channels and the size that `image` asks for.

    Args:
        path, id_: its shard and its id, for the message.
        data: the image file.
        image: how a model wants it.
        are_masks: whether it is a mask, which is scaled by taking the nearest pixel, so that its values stay classes.

    Raises:
        DataError: it is damaged, or it is to be a mask and is in color.
    """
    try:
        stored = decode(data, limits=DecodingLimits(min_side=1))
    except UnreadableImageError as error:
        raise DataError(
            f"image {id_} in {path} cannot be read: {error}; fetch the shard again or rebuild the dataset"
        ) from error
    if are_masks and stored.mode != "L":
        raise DataError(
            f"image {id_} in {path} is in color, and masks have a number in each pixel; say in `dataset.sources` which "
            "domain holds them, as in `{path: inbox, pairs: {photo: A, mask: B}, masks: mask}`, and build the dataset"
        )
    picture = stored if are_masks else stored.convert("L" if image.channels == 1 else "RGB")
    pixels = np.asarray(fitted(picture, image, nearest=are_masks))
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
