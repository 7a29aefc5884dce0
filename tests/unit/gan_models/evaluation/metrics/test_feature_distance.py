"""Images compared in a network's features: our own distance, and LPIPS in a backbone of random weights."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_models.evaluation.errors import EvaluationError, NonFiniteError
from gan_models.evaluation.metrics import lpips as module
from gan_models.evaluation.metrics.feature_distance import feature_distances
from gan_models.evaluation.metrics.lpips import load_lpips, lpips
from gan_models.images.pixels import to_float
from gan_models.networks.feature_network import load_feature_network
from tests.support.checked import present
from tests.support.golden import absolute, photographs, relative


@pytest.fixture(scope="module")
def network():
    return load_feature_network("efficientnet_lite0")


def test_it_is_the_formula_of_lpips_without_weights(network, record_property) -> None:
    images, originals = photographs(48)
    expected = np.zeros(4)
    for x, y in zip(network(to_float(images)), network(to_float(originals)), strict=True):
        x, y = (z.double().numpy() / np.linalg.norm(z.double().numpy(), axis=1, keepdims=True) for z in (x, y))
        expected += np.square(x - y).sum(axis=1).mean(axis=(1, 2)) / 4
    difference = relative(feature_distances([images], originals, network)[0], expected)
    record_property("largest relative difference", difference)
    assert difference < 1e-4  # the network's features are float32


def test_equal_images_are_at_zero_and_worse_ones_further(network) -> None:
    images, originals = photographs(64)
    same, noisy, other = feature_distances([originals, images, originals.roll(1, 0)], originals, network)
    assert same.max() == 0
    assert (noisy > 0).all()
    assert noisy.mean() < other.mean() < 4


def test_it_does_not_depend_on_the_batch_and_gray_images_are_taken(network) -> None:
    images, originals = photographs(32)
    for one, other in ((images, originals), (images[:, :1], originals[:, :1])):
        whole, cut = (feature_distances([one], other, network, batch_size=size)[0] for size in (4, 3))
        np.testing.assert_allclose(whole, cut, rtol=1e-5)


def test_constant_images_have_a_finite_distance_and_features_that_are_not_finite_are_refused(network) -> None:
    constant = torch.full((2, 3, 16, 16), 70, dtype=torch.uint8)
    assert np.isfinite(feature_distances([constant], constant + 9, network)[0]).all()
    broken = load_feature_network("efficientnet_lite0")
    next(broken.parameters())[0] = float("nan")
    with pytest.raises(NonFiniteError, match="2 of 2 images"):
        feature_distances([constant], constant + 9, broken)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of torch.hub with AlexNet's convolutions, untrained."""
    from torchvision.models import alexnet

    torch.manual_seed(0)
    hub = tmp_path_factory.mktemp("hub")
    (hub / "checkpoints").mkdir()
    weights = {f"features.{name}": value for name, value in alexnet(weights=None).features.state_dict().items()}
    torch.save(weights, hub / "checkpoints" / "weights")
    digest = hashlib.sha256((hub / "checkpoints" / "weights").read_bytes()).hexdigest()
    (hub / "checkpoints" / "weights").rename(hub / "checkpoints" / f"alexnet-owt-{digest[:8]}.pth")
    return hub


def backbone(hub: Path) -> Path:
    return next((hub / "checkpoints").iterdir())


def test_lpips_is_what_torchmetrics_says_with_the_same_backbone(hub, monkeypatch, record_property) -> None:
    from torchmetrics.functional.image import learned_perceptual_image_patch_similarity
    from torchvision import models

    def alexnet_of_the_file(weights: object) -> torch.nn.Module:
        network: torch.nn.Module = models.AlexNet()
        network.load_state_dict(torch.load(backbone(hub), weights_only=True), strict=False)
        return network

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub))
    monkeypatch.setattr(module, "BACKBONE", backbone(hub).name)
    metric = present(load_lpips())
    assert metric.sha256.startswith(backbone(hub).stem[-8:])
    images, originals = photographs(64)
    monkeypatch.setattr(models, "alexnet", alexnet_of_the_file)  # torchmetrics would download it
    theirs = learned_perceptual_image_patch_similarity(to_float(images), to_float(originals), reduction="none")
    ours = lpips(images, originals, metric, batch_size=3)
    difference = absolute(ours, theirs)
    record_property("largest difference", difference)
    assert difference < 1e-6
    assert lpips(originals, originals, metric).tolist() == [0] * 4


def test_lpips_is_absent_without_the_file_and_refuses_another(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert load_lpips() is None
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / module.BACKBONE).write_bytes(b"something else")
    with pytest.raises(EvaluationError, match=r"is not torchvision's file: its SHA-256 .*, not 7be5be79"):
        load_lpips()
