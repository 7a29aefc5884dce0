"""The real side is kept, and found again without decoding an image."""

import numpy as np
import pytest
import torch

from gan_models.bundles.bundle import load_bundle
from gan_models.config import DcganConfig, EvaluateConfig, ExtractorConfig, ImageConfig, RestoreConfig
from gan_models.data.shards import DataError, shard_paths
from gan_models.data.split_index import Listing
from gan_models.evaluation.features.cache import FeatureCache
from gan_models.evaluation.features.extractor import load_extractor
from gan_models.evaluation.run import evaluate
from tests.support.bundles import make_bundle
from tests.support.checked import present
from tests.support.image_rows import write_digits

GRAY = ImageConfig(size=16, channels=1)
WINDOWS = ImageConfig(size=16, channels=1, fit="crop")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("data") / "digits")


@pytest.fixture(scope="module")
def extractor():
    return load_extractor(ExtractorConfig(size=32))


@pytest.fixture
def decoded(monkeypatch):
    """Counts the images that are decoded."""
    counted = []
    decode = Listing.decode

    def counting(self, place, progress=None):
        def noted(index, pixels):
            counted.append(index)
            place(index, pixels)

        decode(self, noted, progress)

    monkeypatch.setattr(Listing, "decode", counting)
    return counted


def judge(bundle, data, cache):
    config = EvaluateConfig(num_images=20, extractor=ExtractorConfig(size=32))
    return evaluate(bundle, data, config, cache=cache, progress=lambda what: None).result


@pytest.mark.parametrize(
    ("recipe", "image", "label_names", "num_needed"),
    [
        (DcganConfig(width=4), GRAY, tuple("0123456789"), 30 + 60),
        (RestoreConfig(width=4), WINDOWS, (), 30 + (30 + 60)),  # all of them whole, to look for copies
    ],
    ids=["generator", "restorer"],
)
def test_a_repeat_decodes_no_image_whatever_the_model(data, tmp_path, decoded, recipe, image, label_names, num_needed):
    models = [
        load_bundle(make_bundle(tmp_path / str(seed), recipe, image, label_names, seed), "cpu") for seed in range(2)
    ]
    first = judge(models[0], data, tmp_path / "cache")
    assert len(decoded) == num_needed
    decoded.clear()
    again = judge(models[0], data, tmp_path / "cache")
    judge(models[1], data, tmp_path / "cache")
    assert decoded == []
    assert again == first


def test_features_of_a_dataset_are_found_without_its_pixels(data, extractor, tmp_path, decoded):
    cache = FeatureCache(tmp_path, extractor)
    images = cache.images(data, ("evaluation", "train"), GRAY)
    features = cache.features(images, 16)
    assert features.shape == (len(images), 1280) == (90, 1280)
    decoded.clear()
    for path in (tmp_path / "pixels").iterdir():
        path.unlink()
    np.testing.assert_array_equal(cache.features(cache.images(data, ("evaluation", "train"), GRAY), 16), features)
    assert decoded == []


def test_some_of_the_images_are_other_images_and_only_they_are_decoded(data, extractor, tmp_path, decoded):
    cache = FeatureCache(tmp_path, extractor)
    whole, some = (cache.images(data, ("evaluation",), GRAY, num=num) for num in (None, 7))
    assert (len(whole), len(some), some.split_digest) == (30, 7, whole.split_digest)
    assert some.digest != whole.digest
    assert some.images.shape == (7, 1, 16, 16)
    assert len(decoded) == 7
    places = np.linspace(0, 29, 7).astype(int)
    assert torch.equal(some.images, whole.images[places])
    np.testing.assert_array_equal(present(some.labels), present(whole.labels)[places])


def test_images_are_the_same_with_a_folder_for_pixels_or_without(data, extractor, tmp_path):
    kept, passing = (
        FeatureCache(folder, extractor).images(data, ("evaluation", "train"), WINDOWS, num=50)
        for folder in (tmp_path, None)
    )
    assert kept.images.shape == (50, 1, 16, 16)
    assert torch.equal(kept.images, passing.images)
    np.testing.assert_array_equal(kept.labels, passing.labels)


@pytest.mark.parametrize("damage", [lambda content: content[:100], lambda content: content[:-200] + bytes(200)])
def test_whatever_is_damaged_is_computed_again(data, extractor, tmp_path, damage):
    cache = FeatureCache(tmp_path, extractor)
    images = cache.images(data, ("evaluation",), GRAY)
    features = cache.features(images, 16)
    kept = cache.keep(images)("thing", lambda: {"thing": np.arange(500.0)})["thing"]
    for path in tmp_path.glob("*.npz"):
        path.write_bytes(damage(path.read_bytes()))
    (pixels,) = (tmp_path / "pixels").glob("*.pixels")
    pixels.write_bytes(damage(pixels.read_bytes()))
    images = cache.images(data, ("evaluation",), GRAY)
    np.testing.assert_array_equal(cache.features(images, 16), features)
    np.testing.assert_array_equal(cache.keep(images)("thing", lambda: {"thing": np.arange(500.0)})["thing"], kept)


def test_what_is_kept_is_told_apart_by_name_images_and_extractor(data, extractor, tmp_path):
    cache = FeatureCache(tmp_path, extractor)
    images, others = (cache.images(data, (split,), GRAY) for split in ("evaluation", "train"))
    assert cache.keep(images)("one", lambda: {"x": np.array(1.0)})["x"] == 1
    assert cache.keep(images)("one", lambda: {"x": np.array(2.0)})["x"] == 1
    assert cache.keep(images)("other", lambda: {"x": np.array(2.0)})["x"] == 2
    assert cache.keep(others)("one", lambda: {"x": np.array(3.0)})["x"] == 3
    larger = FeatureCache(tmp_path, load_extractor(ExtractorConfig(size=48)))
    assert larger.keep(images)("one", lambda: {"x": np.array(4.0)})["x"] == 4


def test_a_damaged_shard_is_said_to_be_when_pixels_are_needed(data, extractor, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for shard in shard_paths(data):
        (copy / shard.name).write_bytes(shard.read_bytes()[:-3000] + bytes(3000))
    with pytest.raises(DataError):
        _ = FeatureCache(None, extractor).images(copy, ("evaluation",), GRAY).images
