"""Evaluations in other features than the default ones, and of images large enough for every metric."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut
from sklearn.datasets import load_digits
from torchvision.models import alexnet

from benchmarks.support.random_inception import write_random_inception
from gan_models.config import DcganConfig, EvaluateConfig, ExtractorConfig, ImageConfig, RestoreConfig, SuperResolution
from gan_models.data.shard_writer import write_shards
from gan_models.evaluation.comparison import load_evaluation
from gan_models.evaluation.features import inception
from gan_models.evaluation.metrics import lpips
from gan_models.evaluation.result import EvaluationResult
from gan_models.evaluation.run import evaluate_to
from tests.support.bundles import make_bundle
from tests.support.digests import digest_of
from tests.support.image_rows import row_of


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_inception(tmp_path_factory.mktemp("weights"))[0]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten images of either split, without labels."""
    data = tmp_path_factory.mktemp("digits") / "data"
    images = [Image.fromarray((pixels * 15.9).astype(np.uint8)) for pixels in load_digits().images[:20]]
    write_shards((row_of(image, "train" if n % 2 else "evaluation") for n, image in enumerate(images)), data)
    return data


def evaluated(bundle: Path, data: Path, out: Path, **config: Any) -> EvaluationResult:
    evaluate_to(out, bundle, data, EvaluateConfig(num_images=10, **config), cache=None, device="cpu")
    return load_evaluation(out)[0]


def test_a_generator_has_fid_kid_and_inception_score_in_the_original_features(
    digits: Path, tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inception, "SHA256", digest_of(weights))
    image = ImageConfig(size=16, channels=1)
    bundle = make_bundle(tmp_path / "b", DcganConfig(width=4, conditional=False), image, (), 0)
    extractor = ExtractorConfig(name="inception", weights=weights)
    result = evaluated(bundle, digits, tmp_path / "out", extractor=extractor)
    metrics = result.by_key()
    in_features = ["precision_inception", "recall_inception", "density_inception", "coverage_inception"]
    expected = ["fid", "kid", *in_features, "inception_score", "diversity", "nearest_training_distance"]
    assert list(metrics) == expected
    assert metrics["fid"].protocol.extractor == "inception"
    assert metrics["fid"].protocol.extractor_sha256 == digest_of(weights)
    assert "let kid decide" in metrics["fid"].note
    assert metrics["inception_score"].value >= 1
    assert not any("inception_score: absent" in note for note in result.notes)


def test_large_images_are_compared_at_five_scales_and_by_lpips_where_its_weights_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = astronaut()
    tiles = [Image.fromarray(photo[y : y + 176, x : x + 176]) for y in (0, 80, 160, 240) for x in (0, 150, 300)]
    write_shards((row_of(tile, "train" if n < 2 else "evaluation") for n, tile in enumerate(tiles)), tmp_path / "data")
    torch.manual_seed(0)
    (tmp_path / "checkpoints").mkdir()
    convolutions = alexnet(weights=None).features.state_dict()
    torch.save({f"features.{name}": value for name, value in convolutions.items()}, tmp_path / "file")
    name = f"alexnet-{digest_of(tmp_path / 'file')[:8]}.pth"
    (tmp_path / "file").rename(tmp_path / "checkpoints" / name)
    monkeypatch.setattr(lpips, "BACKBONE", name)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    bundle = make_bundle(tmp_path / "b", RestoreConfig(width=4), ImageConfig(size=176, fit="crop"), (), 0)
    settings = {"extractor": ExtractorConfig(size=32), "degradations": (SuperResolution(factor=2),)}
    result = evaluated(bundle, tmp_path / "data", tmp_path / "out", **settings)
    metrics = {metric.name: metric for metric in result.metrics}
    for metric in ("ms_ssim", "ms_ssim_y", "lpips", "feature_distance_efficientnet_lite0"):
        assert metrics[metric].num_images == 10
        assert metrics[metric].baseline_name == "degraded input"
    assert metrics["ms_ssim"].value > 0.9
    assert metrics["lpips"].protocol.extractor == "alexnet"
    assert not any("absent, it takes images" in note or note.startswith("lpips") for note in result.notes)
