import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from gan_models.ingest.decoding import DecodingLimits, UnreadableImageError, decode, encode_png, image_id

ANY_SIZE = DecodingLimits(min_side=1)


def saved(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def pixels(data):
    return np.asarray(decode(data, limits=ANY_SIZE)).tolist()


def noise(width=32, height=24):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def header_of_png(width, height):
    """A PNG that says it is huge and holds almost nothing."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    data = b"IDAT" + zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def png_of_sixteen_bits(samples):
    """A PNG of samples [H, W, C]; Pillow writes such colors nowhere."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = samples.shape
    head = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def refused(data, match, limits=ANY_SIZE):
    with pytest.raises(UnreadableImageError, match=match) as caught:
        decode(data, limits=limits)
    assert "\n" not in str(caught.value)


# What is decoded, and to which pixels.


def test_rgb_and_gray_stay_what_they_are():
    assert decode(saved(noise()), limits=ANY_SIZE).mode == "RGB"
    gray = decode(saved(Image.new("L", (3, 2), 77)), limits=ANY_SIZE)
    assert (gray.mode, gray.size, np.unique(np.asarray(gray)).tolist()) == ("L", (3, 2), [77])


def test_bilevel_becomes_black_and_white():
    assert pixels(saved(Image.fromarray(np.array([[True, False]])))) == [[255, 0]]


@pytest.mark.parametrize("format", ["JPEG", "TIFF", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(format, orientation):
    # A picture with four different corners, stored so that the orientation tag restores it.
    upright = Image.fromarray(np.kron([[0, 80], [160, 240]], np.ones((16, 24))).astype(np.uint8))
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(upright if undo is None else upright.transpose(Image.Transpose(undo)), format, exif=exif)
    decoded = decode(file, limits=ANY_SIZE)
    assert decoded.size == upright.size
    assert np.abs(np.asarray(decoded, int) - np.asarray(upright, int)).max() <= 2


def test_a_damaged_exif_block_does_not_lose_the_photograph():
    file = saved(Image.new("L", (8, 8), 9), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert decode(file, limits=ANY_SIZE).size == (8, 8)


def test_alpha_is_composited_on_white():
    row = [[255, 0, 0, 255], [255, 0, 0, 128], [255, 0, 0, 0]]
    assert pixels(saved(Image.fromarray(np.array([row], np.uint8)))) == [[[255, 0, 0], [255, 127, 127], [255] * 3]]


def test_alpha_on_gray_stays_gray():
    gray = Image.merge("LA", [Image.new("L", (2, 1), 100), Image.fromarray(np.array([[255, 0]], np.uint8))])
    assert pixels(saved(gray)) == [[100, 255]]


def test_a_palette_is_expanded_and_its_transparent_color_composited():
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    assert pixels(saved(image)) == [[[10, 20, 30], [40, 50, 60]]]
    assert pixels(saved(image, transparency=1)) == [[[10, 20, 30], [255, 255, 255]]]


def test_cmyk_is_converted():
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert pixels(saved(image, "TIFF"))[0][0] == [255, 0, 0]
    assert np.abs(np.array(pixels(saved(image, "JPEG"))[0][0]) - [255, 0, 0]).max() <= 2


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_to_eight(format):
    image = Image.fromarray(np.array([[0, 255, 256, 32768, 65535]], np.uint16))
    assert pixels(saved(image, format)) == [[0, 0, 1, 128, 255]]


def test_integer_images_are_scaled_as_sixteen_bits_and_refused_outside():
    assert pixels(saved(Image.fromarray(np.array([[0, 514, 65535]], np.int32)), "TIFF")) == [[0, 2, 255]]
    refused(saved(Image.fromarray(np.array([[0, 65536]], np.int32)), "TIFF"), "0 to 65536, outside 0 to 65535")
    refused(saved(Image.fromarray(np.array([[-1, 5]], np.int32)), "TIFF"), "outside 0 to 65535")


def test_integers_up_to_255_are_eight_bits_in_wider_numbers():
    assert pixels(saved(Image.fromarray(np.array([[0, 100, 255]], np.int32)), "TIFF")) == [[0, 100, 255]]
    assert pixels(saved(Image.fromarray(np.array([[0, 0, 1]], np.int32)), "TIFF")) == [[0, 0, 1]]


@pytest.mark.parametrize("high", [255, 1023, 4095])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_few_bits_in_sixteen_are_refused_with_the_reason(format, high):
    image = Image.fromarray(np.tile(np.array([0, high], np.uint16), (16, 8)))
    refused(saved(image, format), f"no value of the image is above {high:,} of 65,535.* 12 bits times 16")


def test_few_bits_in_integers_are_refused_with_the_reason():
    refused(saved(Image.fromarray(np.array([[0, 4095]], np.int32)), "TIFF"), "no value of the image is above 4,095")


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_few_bits_in_sixteen_are_refused_in_color_too(channels):
    samples = np.full((8, 8, channels), 4095)
    if channels in (2, 4):
        samples[..., -1] = 65535
    refused(png_of_sixteen_bits(samples), "no value of the image is above 4,095 of 65,535")
    samples[0, 0, 0] = 65535
    bright = decode(png_of_sixteen_bits(samples))
    assert bright.getpixel((0, 0)) != bright.getpixel((1, 1))


def test_twelve_bits_that_a_tiff_states_are_scaled():
    samples = np.array([0, 16, 2048, 4095] * 16)
    packed = bytearray()
    for one, two in samples.reshape(-1, 2):
        packed += bytes([one >> 4, (one & 15) << 4 | two >> 8, two & 255])
    entries = {256: (4, 8), 257: (4, 8), 258: (3, 12), 259: (3, 1), 262: (3, 1), 273: (4, 8), 277: (3, 1), 278: (4, 8)}
    entries[279] = (4, len(packed))
    body = b"".join(
        struct.pack("<HHII" if kind == 4 else "<HHIHxx", tag, kind, 1, value)
        for tag, (kind, value) in sorted(entries.items())
    )
    head = struct.pack("<2sHI", b"II", 42, 8 + len(packed))
    file = head + bytes(packed) + struct.pack("<H", len(entries)) + body + bytes(4)
    assert pixels(file)[0] == [0, 1, 128, 255] * 2


def test_float_images_are_scaled_from_zero_to_one():
    assert pixels(saved(Image.fromarray(np.array([[0, 0.5, 1]], np.float32)), "TIFF")) == [[0, 128, 255]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_float_images_that_are_not_finite_are_refused(value):
    refused(saved(Image.fromarray(np.array([[0, value]], np.float32)), "TIFF"), "NaN or infinite")


def test_float_images_outside_zero_to_one_are_refused():
    refused(saved(Image.fromarray(np.array([[0, 200]], np.float32)), "TIFF"), "0 to 200, outside 0 to 1")


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animated_and_many_paged_files_are_refused(format):
    refused(saved(noise(), format, save_all=True, append_images=[noise().rotate(90)]), "animated or has several pages")


def test_the_main_photograph_of_an_mpo_is_taken():
    file = saved(Image.new("RGB", (16, 16), "red"), "MPO", save_all=True, append_images=[Image.new("RGB", (16, 16))])
    assert np.asarray(decode(file))[8, 8, 0] > 250


def test_the_content_decides_and_not_the_name():
    assert decode(saved(noise(), "WEBP", lossless=True)).size == (32, 24)


def test_metadata_does_not_survive():
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    assert decode(saved(noise(), exif=exif, icc_profile=b"x" * 200, dpi=(72, 72))).info == {}


# What is refused.


def test_an_empty_file_is_refused():
    refused(b"", "empty")


@pytest.mark.parametrize("data", [b"hello", b"<html></html>" * 100, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9"])
def test_what_is_no_image_is_refused(data):
    refused(data, "not an image in a format that can be read")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(format, share):
    file = saved(noise(), format)
    with pytest.raises(UnreadableImageError):
        decode(file[: int(len(file) * share)])


def test_a_flipped_bit_in_a_png_is_refused():
    file = bytearray(saved(noise()))
    file[len(file) // 2] ^= 1
    refused(bytes(file), "damaged or truncated")


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (12_000, 9_000), (1, 2**31 - 1)])
def test_huge_dimensions_are_refused_before_decoding(width, height):
    refused(header_of_png(width, height), "pixels")


def test_thin_images_and_large_files_are_refused():
    refused(saved(noise(32, 7)), "shorter side is less than 8 pixels", limits=DecodingLimits())
    refused(saved(noise()), "more than the limit of 100", limits=DecodingLimits(max_bytes=100))


# Identity and encoding.


def test_the_id_is_of_the_pixels_and_not_of_the_file():
    assert image_id(decode(saved(noise(), "PNG"))) == image_id(decode(saved(noise(), "BMP")))


def test_the_id_knows_mode_and_shape():
    images = [Image.new("L", (6, 2)), Image.new("L", (2, 6)), Image.new("RGB", (2, 2)), Image.new("L", (4, 3))]
    assert len({image_id(image) for image in images}) == 4


def test_encoding_keeps_the_pixels_and_depends_on_nothing_else():
    image = noise()
    dressed = image.copy()
    dressed.info = {"dpi": (72, 72), "icc_profile": b"x" * 200}
    assert encode_png(image) == encode_png(dressed)
    assert image_id(decode(encode_png(image))) == image_id(image)


def test_building_a_dataset_needs_no_torch():
    code = "import sys, flows.datasets.builder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
