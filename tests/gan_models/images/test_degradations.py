"""Degradations are what their sections say, and an image's own whatever its batch."""

import pytest
import torch

from gan_models.config import Denoise, Inpaint
from gan_models.images.augmentation import diff_augment, random_flips, random_windows
from gan_models.images.degradations import degrade
from gan_models.images.randomness import random_for, seed_of


def test_noise_has_the_sigma_that_was_asked_for_and_no_mask() -> None:
    images = torch.zeros(8, 3, 32, 32)
    degraded = degrade(images, Denoise(sigma_min=25, sigma_max=25), random_for(0))
    assert (degraded.images.std() * 127.5).item() == pytest.approx(25, rel=0.03)
    assert degraded.mask.shape == (8, 1, 32, 32)
    assert not degraded.mask.any()


def test_sigmas_vary_between_their_bounds() -> None:
    degraded = degrade(torch.zeros(64, 1, 32, 32), Denoise(sigma_min=5, sigma_max=50), random_for(0))
    sigmas = degraded.images.flatten(1).std(dim=1) * 127.5
    assert sigmas.min() < 12 < 40 < sigmas.max() < 55


def test_degraded_images_stay_within_what_an_8_bit_image_holds() -> None:
    degraded = degrade(torch.ones(2, 1, 16, 16), Denoise(sigma_min=50, sigma_max=50), random_for(0))
    assert degraded.images.abs().max() <= 1


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (48, 96)])
def test_holes_cover_the_share_that_was_asked_for_at_any_size(size) -> None:
    mask = degrade(torch.ones(200, 1, *size), Inpaint(share_min=0.1, share_max=0.3), random_for(1)).mask
    shares = mask.mean(dim=(1, 2, 3))
    assert shares.mean().item() == pytest.approx(0.2, abs=0.02)
    assert shares.min() > 0.06
    assert shares.max() < 0.34


def test_missing_pixels_are_zero_and_the_others_untouched() -> None:
    images = torch.rand(16, 3, 32, 32) + 0.1
    degraded = degrade(images, Inpaint(), random_for(2))
    assert set(degraded.mask.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(degraded.images, images * (1 - degraded.mask))


def test_about_half_of_the_holes_are_boxes() -> None:
    mask = degrade(torch.zeros(200, 1, 32, 32), Inpaint(), random_for(3)).mask[:, 0]
    rows, columns = mask.amax(dim=2).sum(dim=1), mask.amax(dim=1).sum(dim=1)
    boxes = (mask.sum(dim=(1, 2)) == rows * columns).float().mean().item()
    assert boxes == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("degradation", [Denoise(), Inpaint()])
def test_an_image_is_degraded_the_same_way_in_any_batch(degradation) -> None:
    images = torch.rand(7, 3, 16, 16)
    together = degrade(images, degradation, random_for(4))
    random = random_for(4)
    apart = [degrade(part, degradation, random) for part in (images[:2], images[2:3], images[3:])]
    assert torch.equal(together.images, torch.cat([part.images for part in apart]))
    assert torch.equal(together.mask, torch.cat([part.mask for part in apart]))


def test_windows_are_cut_from_the_images_and_vary() -> None:
    images = torch.arange(64).view(1, 1, 8, 8).repeat(50, 1, 1, 1)
    windows = random_windows(images, 4, random_for(5))
    assert windows.shape == (50, 1, 4, 4)
    assert (windows[:, 0, 1, 2] - windows[:, 0, 0, 0] == 10).all()
    assert windows[:, 0, 0, 0].max() == 36
    assert windows[:, 0, 0, 0].min() == 0


def test_flips_mirror_about_half_of_the_images() -> None:
    images = torch.arange(4.0).view(1, 1, 1, 4).repeat(200, 1, 1, 1)
    flipped = random_flips(images, random_for(6))[:, 0, 0, 0] == 3
    assert 0.35 < flipped.float().mean() < 0.65


def test_diff_augment_changes_images_and_lets_gradients_through() -> None:
    images = torch.rand(8, 3, 16, 16, requires_grad=True)
    augmented = diff_augment(images, random_for(7))
    assert augmented.shape == images.shape
    assert not torch.equal(augmented, images)
    augmented.sum().backward()
    assert images.grad is not None
    assert (images.grad != 0).any()


def test_seeds_differ_with_every_part() -> None:
    assert len({seed_of(0, "step", 1), seed_of(0, "step", 2), seed_of(0, "epoch", 1), seed_of(1, "step", 1)}) == 4
