import numpy as np
import pytest
from PIL import Image

from gan_models.ingest.drift import MIN_IMAGES, Profile, drift
from gan_models.ingest.image_stats import image_stats
from tests.support.checked import present


def profile(number, change=lambda pixels: pixels, label="a", seed=0):
    found = Profile()
    rng = np.random.default_rng(seed)
    for _ in range(number):
        pixels = np.clip(rng.normal(120, 40, (16, 16, 3)) + rng.normal(0, 20), 0, 255)
        found.add(image_stats(Image.fromarray(change(pixels).astype(np.uint8))).pack(), label)
    return found


def test_the_look_of_known_pictures():
    gray = image_stats(Image.new("RGB", (20, 10), (100, 100, 100)))
    assert (gray.brightness, gray.contrast, gray.sharpness, sum(gray.orientations)) == (100, 0, 0, 0)
    assert image_stats(Image.new("RGB", (9, 9), (10, 20, 30)))[2:5] == (10, 20, 30)
    assert image_stats(Image.new("L", (9, 9), 77))[2:5] == (77, 77, 77)
    ramp = Image.fromarray(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1)))  # brighter to the right
    assert image_stats(ramp).orientations == (0, 255, 0, 0, 0, 0, 0, 0)
    assert image_stats(ramp.rotate(90)).orientations[2] == 255  # brighter upwards
    assert image_stats(ramp).sharpness == 16
    assert len(image_stats(ramp).pack()) == 14


def test_images_of_the_same_kind_have_not_drifted():
    found = present(drift(profile(200), profile(100, seed=1)))
    assert found.growth == 0.5
    assert found.labels == 0
    assert max(found.brightness, found.color, found.features) < 0.4


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("brightness", lambda pixels: np.minimum(pixels + 60, 255)),
        ("color", lambda pixels: pixels * [1.0, 1.0, 0.2]),
        ("features", lambda pixels: np.repeat(np.repeat(pixels[::8, ::8], 8, 0), 8, 1)),
    ],
)
def test_a_change_of_kind_is_seen_where_it_is(name, change):
    assert getattr(drift(profile(200), profile(100, change)), name) > 1.0


def test_labels_drift_by_the_share_that_would_have_to_move():
    before, added = profile(100, label="a"), profile(40, label="b")
    assert present(drift(before, added)).labels == 1.0
    for _ in range(40):
        added.add(None, "a")
    assert present(drift(before, added)).labels == 0.5


def test_too_few_images_say_nothing():
    assert drift(profile(MIN_IMAGES), profile(MIN_IMAGES - 1)) is None
    assert drift(profile(MIN_IMAGES - 1), profile(MIN_IMAGES)) is None
