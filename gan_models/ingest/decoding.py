"""From the bytes of a file to pixels: one stated policy for every kind of image.

| the file                     | becomes                                                                             |
| ---------------------------- | ----------------------------------------------------------------------------------- |
| gray, bilevel                | mode L; it stays gray until a model asks for three channels                         |
| RGB, YCbCr, HSV, CMYK        | mode RGB, by Pillow's conversion; color profiles are not applied                   |
| palette                      | expanded to RGB                                                                     |
| alpha, a transparent color  | composited on white                                                                 |
| 16-bit                       | taken as 0-65535, of which the high byte stays; where none reaches 4096 it is       |
|                              | refused: it would be nearly black, and is likely to hold samples of 12 bits or less |
| 12-bit, where a TIFF says so | taken as 0-4095, of which the high 8 bits stay                                      |
| 32-bit integers              | up to 255 as they are, else as 16-bit; values outside 0-65535 are refused           |
| float                        | taken as [0, 1] and scaled to 0-255; values outside, NaN and infinities are refused |
| EXIF orientation             | applied; an EXIF block that cannot be read says nothing                             |
| animated, several pages      | refused: which frame was meant cannot be known; of an MPO, the main photograph      |
| a wrong file extension       | ignored: the content decides                                                        |

Of a mask, which says in each pixel what is there, no value is ever changed:

| the mask                     | becomes                                                                             |
| ---------------------------- | ----------------------------------------------------------------------------------- |
| gray                         | mode L, as it is; black and white alone are 0 and 255                               |
| palette                      | mode L of the indices, whatever their colors                                        |
| 16-bit, integer modes        | mode L of the same numbers; above 255 they are refused                              |
| RGB whose channels are equal | mode L of that channel; other colors are refused                                    |
| alpha                        | dropped where all is opaque, else refused                                           |

Nothing here imports PyTorch.
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from gan_models.errors import AtelierError
from gan_models.text import one_line

# Raster formats only; an MPO opens as a JPEG. Left out are those that start other programs or fetch files, such as EPS.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")

_ORIENTATION = 0x0112
_BITS_PER_SAMPLE = 0x0102
_PNG_BIT_DEPTH = 24  # where it stands in the file
_NEARLY_BLACK = 1 << 12  # of 16 bits; what is darker has 15 levels of gray at most
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImageError(AtelierError):
    """A file that is not used as an image; the message is the reason, in one sentence."""


@dataclass(frozen=True)
class DecodingLimits:
    """What is refused. Pillow's own limit, about 179 million pixels, holds as well.

    max_pixels, min_side, max_bytes: of a file, refused before anything is decoded
    max_seconds, max_memory: what decoding one file may take, in seconds and bytes; only decoding workers hold these
    """

    max_pixels: int = 100_000_000
    min_side: int = 8
    max_bytes: int = 128 << 20
    max_seconds: float = 60.0
    max_memory: int = 1 << 30


def decode(
    data: bytes, *, limits: DecodingLimits | None = None, before_loading: Callable[[int], None] | None = None
) -> Image.Image:
    """Return the pixels of an image file, upright, of mode L or RGB, without metadata.

    Args:
        data: the file.
        limits: of size.
        before_loading: is told the number of pixels when the header was read and found good.

    Raises:
        UnreadableImageError: the file is no image, is damaged, or is one that the limits or the policy refuse.
    """
    image = _loaded(data, limits or DecodingLimits(), before_loading)
    return _upright(_eight_bits(image, _sample_bits(image, data)), image)


def decode_mask(
    data: bytes, *, limits: DecodingLimits | None = None, before_loading: Callable[[int], None] | None = None
) -> Image.Image:
    """Return the classes of a mask's pixels as they stand in the file, of mode L; the arguments are those of `decode`.

    Raises:
        UnreadableImageError: as for `decode`, or the file does not hold one number from 0 to 255 in each pixel.
    """
    image = _loaded(data, limits or DecodingLimits(), before_loading)
    return _upright(_class_values(image, _sample_bits(image, data)), image)


def _loaded(data: bytes, limits: DecodingLimits, before_loading: Callable[[int], None] | None) -> Image.Image:
    """Return the image in a file as Pillow has it, with its pixels in memory."""
    if not data:
        raise UnreadableImageError("the file is empty")
    if len(data) > limits.max_bytes:
        raise UnreadableImageError(f"the file has {len(data):,} bytes, more than the limit of {limits.max_bytes:,}")
    image = _open(data)
    _check_header(image, limits)
    if before_loading:
        before_loading(image.width * image.height)
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:
        raise UnreadableImageError(f"the {image.format} image is damaged or truncated: {one_line(error)}") from error
    return image


def _upright(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """Return the pixels as the loaded image says that they are to be turned, without metadata."""
    rotation = _UPRIGHT.get(_orientation(image))
    return _bare(pixels if rotation is None else pixels.transpose(rotation))


def image_id(image: Image.Image) -> str:
    """Return the SHA-256 of an image's mode, size and pixels, as 64 hexadecimal digits."""
    digest = hashlib.sha256(f"{image.mode} {image.width}x{image.height}\n".encode())
    for top in range(0, image.height, 256):  # in strips: a copy of all of it could be large
        digest.update(image.crop((0, top, image.width, min(top + 256, image.height))).tobytes())
    return digest.hexdigest()


def encode_png(image: Image.Image) -> bytes:
    """Return an image of mode L or RGB as a PNG file: the same bytes for the same pixels."""
    buffer = io.BytesIO()
    (_bare(image) if image.info else image).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _bare(image: Image.Image) -> Image.Image:
    """Return a copy of the pixels that carries no metadata."""
    copy = Image.new(image.mode, image.size)
    copy.paste(image)
    return copy


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise UnreadableImageError("the file is not an image in a format that can be read") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImageError(f"the image has too many pixels: {one_line(error)}") from None
    except Exception as error:  # Pillow's parsers raise whatever a damaged header leads them to
        raise UnreadableImageError(f"the image's header is damaged: {one_line(error)}") from error


def _check_header(image: Image.Image, limits: DecodingLimits) -> None:
    size = f"{image.width}x{image.height}"
    if image.width * image.height > limits.max_pixels:
        raise UnreadableImageError(f"the image is {size}, more than the limit of {limits.max_pixels:,} pixels")
    if min(image.size) < limits.min_side:
        raise UnreadableImageError(f"the image is {size}, and its shorter side is less than {limits.min_side} pixels")
    try:
        several = image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception as error:
        raise UnreadableImageError(f"the {image.format} image is damaged: {one_line(error)}") from error
    if several:
        raise UnreadableImageError("the file is animated or has several pages; save those that are meant on their own")


def _sample_bits(image: Image.Image, data: bytes) -> int:
    """Return how many bits a sample of a loaded image has in its file, 8 where the format says nothing of it."""
    if image.format == "PNG":
        return data[_PNG_BIT_DEPTH]
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,))))  # type: ignore[attr-defined]
    return 16 if image.mode.startswith("I") else 8


def _eight_bits(image: Image.Image, bits: int) -> Image.Image:
    """Return a loaded image as mode L or RGB. `bits`: of a sample in its file."""
    if image.mode.startswith("I"):
        return _from_integers(np.asarray(image), bits)
    if image.mode == "F":
        values = np.asarray(image)
        if not np.isfinite(values).all():
            raise UnreadableImageError("the float image holds NaN or infinite values")
        if values.min() < 0 or values.max() > 1:
            span = f"{values.min():.6g} to {values.max():.6g}"
            raise UnreadableImageError(f"the float image's values span {span}, outside 0 to 1")
        return Image.fromarray(np.rint(values * 255).astype(np.uint8))
    if bits == 16 and image.mode in ("L", "LA", "RGB", "RGBA"):  # Pillow keeps the high byte of such colors.
        colors = [band for band in image.getbands() if band != "A"]
        _refuse_nearly_black(max(int(np.asarray(image.getchannel(band)).max()) for band in colors) << 8 | 255)
    gray = image.mode in ("1", "L", "LA", "La")
    try:
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            flat = Image.alpha_composite(white, image.convert("RGBA"))
            return flat.getchannel("R") if gray else flat.convert("RGB")
        mode = "L" if gray else "RGB"
        return image if image.mode == mode else image.convert(mode)
    except (ValueError, OSError) as error:
        raise UnreadableImageError(f"an image of mode {image.mode} cannot be converted: {one_line(error)}") from error


def _from_integers(values: "np.ndarray[tuple[int, int], np.dtype[np.integer]]", bits: int) -> Image.Image:
    """Return gray values of more than 8 bits as mode L; the table above has the rule."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise UnreadableImageError(f"the image's integer values span {low} to {high}, outside 0 to 65535")
    if bits == 12:
        return Image.fromarray((values >> 4).astype(np.uint8))
    if bits == 32 and high <= 255:
        return Image.fromarray(values.astype(np.uint8))
    _refuse_nearly_black(high)
    return Image.fromarray((values >> 8).astype(np.uint8))


def _refuse_nearly_black(highest: int) -> None:
    if highest < _NEARLY_BLACK:
        raise UnreadableImageError(
            f"no value of the image is above {highest:,} of 65,535, so that it would be nearly black; scale its values "
            "to 16 bits (those of 12 bits times 16), or save those of 8 bits as 8 bits"
        )


def _class_values(image: Image.Image, bits: int) -> Image.Image:
    """Return a loaded mask as mode L, every value as it is. `bits`: of a sample in its file."""
    if bits > 8 and not image.mode.startswith("I"):
        raise UnreadableImageError(f"the mask has colors of {bits} bits; save it as gray or with a palette")
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode == "P":
        return Image.fromarray(np.asarray(image))
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 255:
            raise UnreadableImageError(f"the mask's values reach {values.max()}, and classes are numbers from 0 to 255")
        return Image.fromarray(values.astype(np.uint8))
    bands = [np.asarray(band) for band in image.split()]
    if image.mode in ("LA", "PA", "RGBA") and bands.pop().min() < 255:
        raise UnreadableImageError("the mask is transparent in places; give these pixels the number of a class")
    if image.mode in ("LA", "PA", "RGB", "RGBA") and all((band == bands[0]).all() for band in bands[1:]):
        return Image.fromarray(bands[0])
    raise UnreadableImageError(
        "the mask is in color; save it with the number of each pixel's class as its gray value or palette index"
    )


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 where there is none. A PNG may carry its EXIF behind the pixels: load it first."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block is no reason to lose the photograph
        return 1
