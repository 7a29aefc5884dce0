import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from gan_models.evaluation.metrics.luma import luma
from gan_models.evaluation.metrics.psnr import psnr
from gan_models.evaluation.metrics.ssim import ssim
from tests.support.golden import IMAGES, absolute


def by_scikit_image(images):
    """Y of uint8 [N, 3, H, W], rounded, as uint8 [N, H, W]."""
    return [np.rint(rgb2ycbcr(image.permute(1, 2, 0).numpy())[..., 0]).astype(np.uint8) for image in images]


def test_black_and_white_are_16_and_235() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(-1, 3, 4, 4)
    assert luma(images).unique().tolist() == [16, 235]


@pytest.mark.parametrize("kind", IMAGES)
def test_it_is_what_scikit_image_says_and_so_are_its_metrics(kind, record_property) -> None:
    images, originals = IMAGES[kind](64)
    ours, expected = (luma(images), luma(originals)), (by_scikit_image(images), by_scikit_image(originals))
    assert absolute(ours[0][:, 0], expected[0]) == 0
    pairs = list(zip(expected[1], expected[0], strict=True))
    decibels = absolute(psnr(ours[0].numpy(), ours[1].numpy()), [peak_signal_noise_ratio(o, n) for o, n in pairs])
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    similarity = absolute(ssim(*ours), [structural_similarity(o, n, **settings) for o, n in pairs])
    record_property("largest difference of PSNR, dB", decibels)
    record_property("largest difference of SSIM", similarity)
    assert decibels < 1e-4
    assert similarity < 1e-5
