"""Images that are no 8-bit pixels are refused wherever 8-bit pixels are taken: their numbers would be wrong."""

from typing import Any

import numpy as np
import pytest
import torch

from gan_models.bundles.bundle import Bundle
from gan_models.bundles.description import BundleDescription
from gan_models.config import ExtractorConfig, TrainConfig
from gan_models.evaluation.features.extractor import load_extractor
from gan_models.evaluation.metrics.content_distance import content_distance
from gan_models.evaluation.metrics.feature_distance import feature_distances
from gan_models.evaluation.metrics.label_accuracy import train_judge
from gan_models.evaluation.metrics.lpips import lpips
from gan_models.evaluation.metrics.luma import luma
from gan_models.evaluation.metrics.ms_ssim import ms_ssim
from gan_models.evaluation.metrics.psnr import psnr
from gan_models.evaluation.metrics.ssim import ssim
from gan_models.evaluation.metrics.style_distance import style_statistics
from gan_models.evaluation.metrics.warping_error import warping_error
from gan_models.inference.generate import reconstruct
from gan_models.inference.restore import restore
from gan_models.inference.stylize import stylize
from gan_models.inference.translate import translate
from gan_models.recipes import build_recipe
from tests.support.training_runs import CYCLEGAN, RESTORE, STYLE_BANK, VAE, train_config

UINT8 = torch.zeros(3, 3, 16, 16, dtype=torch.uint8)
OTHERS = {
    "float of [0, 1]": torch.rand(3, 3, 16, 16),
    "float64 of [-1, 1]": 2 * torch.rand(3, 3, 16, 16, dtype=torch.float64) - 1,
    "int64": torch.zeros(3, 3, 16, 16, dtype=torch.int64),
}
NO_NETWORK: Any = None  # images are refused before it is asked
METRICS = {
    "psnr": lambda images, other: psnr(images.numpy(), other.numpy()),
    "ssim": ssim,
    "ms_ssim": ms_ssim,
    "lpips": lambda images, other: lpips(images, other, NO_NETWORK),
    "feature_distances": lambda images, other: feature_distances([images], other, NO_NETWORK),
    "content_distance": lambda images, other: content_distance(images, other, NO_NETWORK),
    "warping_error": lambda images, other: warping_error(images.numpy(), other.numpy()),
}
OF_ONE = {
    "luma": luma,
    "style_statistics": lambda images: style_statistics(images, NO_NETWORK),
    "label_accuracy": lambda images: train_judge(images.numpy(), np.zeros((3, 2)), np.array([0, 1, 1])),
    "features": lambda images: load_extractor(ExtractorConfig(size=32)).features(images),
}
INFERENCE = {
    "restore": (RESTORE, lambda bundle, images: restore(bundle, images, None)),
    "translate": (CYCLEGAN, translate),
    "stylize": (STYLE_BANK, lambda bundle, images: stylize(bundle, images, style=0)),
    "a style image": (STYLE_BANK, lambda bundle, images: stylize(bundle, UINT8, style_image=images[0])),
    "reconstruct": (VAE, lambda bundle, images: reconstruct(bundle, images[:, :1], None)),
}
refused = pytest.mark.parametrize("images", OTHERS.values(), ids=OTHERS)


def bundle_of(config: TrainConfig) -> Bundle:
    kept = {"num_steps": 1, "config_digest": "c", "data_digest": "d", "torch_version": "2", "weights_sha256": "w"}
    description = BundleDescription(recipe=config.recipe, image=config.image, label_names=(), **kept)
    return Bundle(description, "b", build_recipe(config, 0).generator, torch.device("cpu"))


@refused
@pytest.mark.parametrize("name", METRICS)
def test_a_metric_refuses_them_on_either_side(name, images):
    for sides in ((images, UINT8), (UINT8, images)):
        with pytest.raises(ValueError, match="images should be uint8, 0 to 255, and these are"):
            METRICS[name](*sides)


@refused
@pytest.mark.parametrize("name", OF_ONE)
def test_a_metric_of_one_set_refuses_them(name, images):
    with pytest.raises(ValueError, match="images should be uint8"):
        OF_ONE[name](images)


@refused
@pytest.mark.parametrize("name", INFERENCE)
def test_applying_a_model_refuses_them(name, images):
    recipe, apply = INFERENCE[name]
    with pytest.raises(ValueError, match="images should be uint8"):
        apply(bundle_of(train_config(recipe)), images)
