"""What an image looks like, in fourteen bytes: enough to tell that today's images are not like yesterday's.

Everything is computed in whole numbers, so that the same pixels give the same bytes on every machine.
"""

from math import isqrt
from typing import NamedTuple

import numpy as np
from PIL import Image

SIDE = 64  # pixels of either side that a larger image is reduced to before it is measured
NUM_ORIENTATIONS = 8


class ImageStats(NamedTuple):
    """Statistics of one image, each a byte from 0 to 255.

    brightness, contrast: mean and standard deviation of the luminance
    red, green, blue: means of the channels
    sharpness: mean size of the luminance's gradient, four times enlarged
    orientations: how much of the gradient points each of eight ways, as shares of 255; what shapes there are
    """

    brightness: int
    contrast: int
    red: int
    green: int
    blue: int
    sharpness: int
    orientations: tuple[int, ...]

    def pack(self) -> bytes:
        """Return the 14 bytes that are stored."""
        return bytes([*self[:6], *self.orientations])


def image_stats(image: Image.Image) -> ImageStats:
    """Return the statistics of an image of mode L or RGB."""
    width, height = min(SIDE, image.width), min(SIDE, image.height)
    small = image.resize((width, height), Image.Resampling.BOX)
    colors = np.asarray(small.convert("RGB"))
    red, green, blue = (int(channel.sum()) // (width * height) for channel in colors.transpose(2, 0, 1))
    gray = np.asarray(small.convert("L"), dtype=np.int16)
    mean = int(gray.sum()) // (width * height)
    variance = int(((gray - mean).astype(np.int32) ** 2).sum()) // (width * height)
    corner = gray[:-1, :-1]
    across, down = gray[:-1, 1:] - corner, gray[1:, :-1] - corner
    length = np.abs(across) + np.abs(down)
    octant = 4 * (across < 0) + 2 * (down < 0) + (np.abs(across) > np.abs(down))
    strength = np.bincount(octant.ravel(), weights=length.ravel(), minlength=NUM_ORIENTATIONS).astype(int).tolist()
    total = sum(strength)
    return ImageStats(
        brightness=mean,
        contrast=isqrt(variance),
        red=red,
        green=green,
        blue=blue,
        sharpness=min(255, 4 * total // max(length.size, 1)),
        orientations=tuple(255 * part // total for part in strength) if total else (0,) * NUM_ORIENTATIONS,
    )
