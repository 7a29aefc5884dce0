"""What an image file can hold."""

from torch import Tensor


def as_8_bits(images: Tensor) -> Tensor:
    """Float images as an 8-bit file would bring them back: in [-1, 1], on its 256 values."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
