"""A model that can encode is also judged by how well it copies images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from gan_models.bundles.bundle import save_bundle
from gan_models.config import EvaluateConfig, ImageConfig, VaeConfig
from gan_models.data.image_row import ImageRow
from gan_models.data.shard_writer import write_shards
from gan_models.evaluation.run import evaluate_to
from gan_models.ingest.decoding import encode_png, image_id
from gan_models.recipes import build_generator
from tests.support.checked import present


@pytest.mark.parametrize("label_names", [tuple("0123456789"), ()], ids=["labels", "none"])
def test_reconstruction_is_measured_beside_the_mean_image(tmp_path: Path, label_names) -> None:
    digits, records = load_digits(), []
    for index, (pixels, target) in enumerate(zip(digits.images[:60], digits.target, strict=False)):
        image = Image.fromarray((pixels * 15.9).astype(np.uint8))
        label, split = str(target) if label_names else None, "evaluation" if index < 20 else "train"
        records.append(
            ImageRow(encode_png(image), "x.png", image_id(image), split, label, None, *image.size, source="test")
        )
    write_shards(records, tmp_path / "data")
    recipe, wanted = VaeConfig(width=4, latent_dim=8), ImageConfig(size=16, channels=1)
    torch.manual_seed(0)
    save_bundle(
        tmp_path / "bundle",
        build_generator(recipe, wanted, len(label_names)),
        recipe=recipe,
        image=wanted,
        label_names=label_names,
        num_steps=1,
        config_digest="c",
        data_digest="d",
    )
    config = EvaluateConfig(num_images=20, extractor={"size": 32})
    result = evaluate_to(tmp_path / "out", tmp_path / "bundle", tmp_path / "data", config, cache=None, device="cpu")
    metric = result.by_key()["reconstruction_psnr"]
    assert metric.num_images == 20
    assert metric.low < metric.value < metric.high
    assert 5 < metric.value < present(metric.baseline) < 20  # untrained, it draws the same gray whatever it is given
    assert metric.baseline_name == "the mean training image"
