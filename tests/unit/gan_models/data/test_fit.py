"""What a model sees of images that are not square, and what a person is told of the rest."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from gan_models.config import ImageConfig
from gan_models.data.fit import fit_in_words, fitted
from gan_models.data.image_row import ImageRow
from gan_models.data.image_set import load_split
from gan_models.data.shard_writer import write_shards
from gan_models.ingest.decoding import encode_png

THIRDS = Image.fromarray(np.repeat(np.repeat(np.eye(3, dtype=np.uint8)[None] * 255, 32, 0), [21, 22, 21], 1))


def seen(fit, picture=THIRDS):
    return np.asarray(fitted(picture, ImageConfig(size=16, fit=fit)))


def test_resize_shows_the_whole_picture():
    shown = seen("resize")
    assert shown.shape == (16, 16, 3)
    assert [shown[8, column].argmax() for column in (0, 8, 15)] == [0, 1, 2]


def test_cover_shows_the_middle_in_its_proportions():
    shown = seen("cover")
    assert shown.shape == (16, 16, 3)
    assert shown[8].sum(axis=0).argmax() == 1
    assert shown[8, 8].tolist() == [0, 255, 0]
    disc = Image.fromarray(np.hypot(*(np.indices((32, 64)) - [[[15.5]], [[31.5]]])) < 12)
    inside = np.asarray(fitted(disc.convert("L"), ImageConfig(size=16, channels=1))) > 127
    assert inside.any(axis=0).sum() == inside.any(axis=1).sum()


def test_crop_leaves_the_picture_to_its_windows():
    assert fitted(THIRDS, ImageConfig(size=16, fit="crop")) is THIRDS


@pytest.mark.parametrize("size", [8, 16, 40])
def test_square_images_are_the_same_by_either_and_nothing_is_told(size):
    square = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8))
    assert (seen("resize", square) == seen("cover", square)).all()
    assert (seen("cover", square) == np.asarray(ImageOps.fit(square, (16, 16), Image.Resampling.BICUBIC))).all()
    for fit in ("resize", "cover"):
        assert fit_in_words(ImageConfig(size=16, fit=fit), [(size, size)] * 3) == ""


def test_what_is_lost_is_told():
    sizes = [(64, 32), (32, 32), (32, 32)]
    told = fit_in_words(ImageConfig(size=16), iter(sizes))
    assert told.startswith("1 of 3 images are not square: `fit: cover` cuts 25.0% of all pixels off")
    told = fit_in_words(ImageConfig(size=16, fit="resize"), iter(sizes))
    assert told.startswith("1 of 3 images are not square: `fit: resize` squeezes them, up to 2.00 times")
    assert fit_in_words(ImageConfig(size=16, fit="crop"), iter(sizes)) == ""


def test_a_dataset_is_read_as_the_config_says(tmp_path):
    row = ImageRow(encode_png(THIRDS), "x.png", "0", "train", None, None, 64, 32, "test")
    write_shards([row], tmp_path)
    for fit in ("resize", "cover"):
        images = load_split(tmp_path, "train", ImageConfig(size=16, fit=fit)).images
        assert (images[0].permute(1, 2, 0).numpy() == seen(fit)).all()
