"""Sketches, gray pictures and tones are made of each image alone."""

import numpy as np
import pytest
import torch
from skimage.data import astronaut
from skimage.filters import threshold_multiotsu

from gan_models.images.paired_inputs import NUM_BINS, condition, levels_of, luminance, tones_in, tones_of
from gan_models.images.pixels import to_float, to_uint8

PHOTO = to_float(torch.from_numpy(astronaut()).permute(2, 0, 1)[None, :, ::4, ::4].contiguous())


@pytest.mark.parametrize("kind", ["edges", "gray", "tones", "image"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_condition_has_the_images_shape_and_range_and_does_not_depend_on_the_batch(kind, channels) -> None:
    images = torch.cat([PHOTO, PHOTO.flip(3), PHOTO * 0.3])[:, :channels]
    made = condition(images, kind)
    assert made.shape == images.shape
    assert -1 <= made.min() <= made.max() <= 1
    assert torch.equal(made[1:2], condition(images[1:2], kind))


def test_edges_are_lines_on_white_on_the_dark_side_where_the_luminance_changes() -> None:
    images = torch.full((1, 3, 16, 16), -0.5)
    images[..., 8:] = 0.5
    made = condition(images, "edges")
    assert (made[..., 7] < 0).all()
    assert (made[..., 8:] == 1).all()
    assert (made[..., :4] == 1).all()


def test_gray_is_the_luminance_in_every_channel() -> None:
    green = torch.tensor([-1.0, 1.0, -1.0]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    torch.testing.assert_close(condition(green, "gray"), torch.full((1, 3, 8, 8), 2 * 0.587 - 1))


def test_tones_vary_no_less_than_those_of_scikit_image() -> None:
    smooth = luminance(PHOTO)
    for _ in range(2):
        padded = torch.nn.functional.pad(smooth, (2, 2, 2, 2), mode="reflect")
        smooth = torch.nn.functional.avg_pool2d(padded, 5, stride=1)
    bins = (smooth[0, 0] * NUM_BINS).long().numpy()
    own = tones_in(PHOTO)[0].numpy()
    theirs = (bins > threshold_multiotsu(bins, classes=3)[:, None, None]).sum(axis=0)
    assert variance_between(bins, own) >= variance_between(bins, theirs)
    assert (own == theirs).mean() > 0.95  # theirs may be a bin away


def variance_between(values: np.ndarray, tones: np.ndarray) -> float:
    parts = [values[tones == tone] for tone in range(3)]
    return float(sum(part.size * (part.mean() - values.mean()) ** 2 for part in parts) / values.size)


def test_an_image_of_one_color_has_one_tone() -> None:
    assert len(tones_in(torch.zeros(1, 3, 16, 16)).unique()) == 1


def test_tones_survive_the_way_to_8_bit_images_and_back() -> None:
    tones = tones_in(PHOTO)
    assert set(tones.unique().tolist()) == {0, 1, 2}
    assert torch.equal(tones_of(to_float(to_uint8(levels_of(tones)))), tones)
