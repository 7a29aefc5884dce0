"""The classes of a mask survive being read, or the file is refused with what to do."""

import io

import numpy as np
import pytest
from PIL import Image

from gan_models.ingest.decoding import DecodingLimits, UnreadableImageError, decode_mask, encode_png
from gan_models.ingest.file_check import Demands, examine
from tests.support.mask_scenes import as_palette

VALUES = np.random.default_rng(0).choice(np.array([0, 7, 130, 255], np.uint8), (12, 9))


def file_of(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def with_alpha(alpha: int) -> Image.Image:
    picture = Image.fromarray(VALUES).convert("LA")
    picture.putalpha(Image.new("L", picture.size, alpha))
    return picture


KEPT = {
    "gray": file_of(Image.fromarray(VALUES)),
    "palette of equal colors": file_of(as_palette(VALUES)),
    "palette with a transparent index": file_of(as_palette(VALUES), transparency=7),
    "16 bits": file_of(Image.fromarray(VALUES.astype(np.uint16))),
    "32 bits": file_of(Image.fromarray(VALUES.astype(np.int32)), "TIFF"),
    "equal channels": file_of(Image.fromarray(VALUES).convert("RGB")),
    "opaque alpha": file_of(with_alpha(255)),
}


@pytest.mark.parametrize("data", KEPT.values(), ids=KEPT)
def test_every_value_is_kept_as_it_stands_in_the_file(data: bytes) -> None:
    mask = decode_mask(data)
    assert mask.mode == "L"
    assert np.array_equal(np.asarray(mask), VALUES)
    assert np.array_equal(np.asarray(decode_mask(encode_png(mask))), VALUES)


def test_black_and_white_are_0_and_255() -> None:
    mask = decode_mask(file_of(Image.fromarray(VALUES > 100)))
    assert np.array_equal(np.asarray(mask), np.where(VALUES > 100, 255, 0))


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (
            Image.fromarray(np.dstack([VALUES, VALUES, 255 - VALUES])),
            "is in color; save it with the number of each pixel",
        ),
        (with_alpha(254), "transparent in places; give these pixels the number of a class"),
        (Image.fromarray(np.full((9, 9), 256, np.uint16)), "values reach 256, and classes are numbers from 0 to 255"),
    ],
    ids=["colors", "transparent", "a large number"],
)
def test_a_mask_without_one_number_in_each_pixel_is_refused(picture: Image.Image, reason: str) -> None:
    with pytest.raises(UnreadableImageError, match=reason):
        decode_mask(file_of(picture))


def test_masks_have_no_hash_by_which_photographs_are_found_to_be_alike() -> None:
    demands = Demands(DecodingLimits(), tile=None)
    data = KEPT["palette of equal colors"]
    assert examine(data, demands, is_mask=True).pieces[0].phash is None
    assert examine(data, demands).id != examine(data, demands, is_mask=True).id
