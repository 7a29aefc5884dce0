import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from gan_models.evaluation.metrics.psnr import psnr
from tests.support.golden import IMAGES, absolute


def pair(seed=0, num=4, channels=3):
    random = np.random.default_rng(seed)
    originals = random.integers(0, 256, (num, channels, 16, 16), dtype=np.uint8)
    noisy = np.clip(originals + random.normal(0, 20, originals.shape), 0, 255).astype(np.uint8)
    return noisy, originals


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_what_scikit_image_says(kind, channels, record_property):
    noisy, originals = (images.numpy()[:, :channels] for images in IMAGES[kind](64))
    expected = [peak_signal_noise_ratio(o, n, data_range=255) for o, n in zip(originals, noisy, strict=True)]
    difference = absolute(psnr(noisy, originals), expected)
    record_property("largest difference, dB", difference)
    assert difference < 1e-4


def test_identical_images_score_the_cap_and_never_infinity():
    _, originals = pair()
    assert psnr(originals, originals).tolist() == [100.0] * 4


def test_inside_a_hole_nothing_outside_counts():
    noisy, originals = pair()
    hole = np.zeros((4, 1, 16, 16), bool)
    hole[:, :, 4:9, 2:7] = True
    inside = psnr(noisy[:, :, 4:9, 2:7], originals[:, :, 4:9, 2:7])
    np.testing.assert_allclose(psnr(noisy, originals, hole), inside)


def test_an_image_without_a_pixel_that_counts_is_refused():
    noisy, originals = pair()
    with pytest.raises(ValueError, match="4 of 4 images have no pixel"):
        psnr(noisy, originals, np.zeros((4, 1, 16, 16), bool))


def test_different_shapes_are_refused():
    noisy, originals = pair()
    with pytest.raises(ValueError, match="one shape"):
        psnr(noisy[:2], originals)
