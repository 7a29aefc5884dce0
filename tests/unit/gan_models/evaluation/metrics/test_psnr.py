import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from gan_models.evaluation.metrics.psnr import psnr
from tests.support.golden import IMAGES, absolute, noisy_pair


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_what_scikit_image_says(kind, channels, record_property):
    noisy, originals = (images.numpy()[:, :channels] for images in IMAGES[kind](64))
    expected = [peak_signal_noise_ratio(o, n, data_range=255) for o, n in zip(originals, noisy, strict=True)]
    difference = absolute(psnr(noisy, originals), expected)
    record_property("largest difference, dB", difference)
    assert difference < 1e-4


def test_identical_images_score_the_cap_and_never_infinity():
    _, originals = noisy_pair()
    assert psnr(originals, originals).tolist() == [100.0] * 4


def test_inside_a_hole_nothing_outside_counts():
    noisy, originals = noisy_pair()
    hole = np.zeros((4, 1, 16, 16), bool)
    hole[:, :, 4:9, 2:7] = True
    inside = psnr(noisy[:, :, 4:9, 2:7], originals[:, :, 4:9, 2:7])
    np.testing.assert_allclose(psnr(noisy, originals, hole), inside)


def test_an_image_without_a_pixel_that_counts_is_refused():
    noisy, originals = noisy_pair()
    with pytest.raises(ValueError, match="4 of 4 images have no pixel"):
        psnr(noisy, originals, np.zeros((4, 1, 16, 16), bool))


def test_different_shapes_are_refused():
    noisy, originals = noisy_pair()
    with pytest.raises(ValueError, match="one shape"):
        psnr(noisy[:2], originals)
