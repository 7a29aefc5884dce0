"""The structural term is the SSIM that evaluations report."""

import pytest
import torch

from gan_models.evaluation.metrics.ssim import ssim
from gan_models.images.pixels import to_float
from gan_models.losses.structural import structural_dissimilarity


def test_it_is_one_less_the_ssim_of_the_evaluation() -> None:
    random = torch.Generator().manual_seed(0)
    originals = torch.randint(256, (3, 3, 16, 24), generator=random).to(torch.uint8)
    images = (originals.int() + torch.randint(-30, 30, (3, 3, 16, 24), generator=random)).clamp(0, 255).to(torch.uint8)
    expected = 1 - torch.from_numpy(ssim(images, originals)).float()
    measured = structural_dissimilarity(to_float(images), to_float(originals))
    torch.testing.assert_close(measured, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(structural_dissimilarity(to_float(originals), to_float(originals)), torch.zeros(3))


def test_images_smaller_than_its_window_are_refused() -> None:
    with pytest.raises(ValueError, match="ssim_weight"):
        structural_dissimilarity(torch.zeros(1, 3, 8, 16), torch.zeros(1, 3, 8, 16))
