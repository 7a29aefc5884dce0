"""Degradations are what their sections say, and an image's own whatever its batch."""

import pytest
import torch

from gan_models.config import Deblur, Denoise, Inpaint, SuperResolution, Watermark
from gan_models.images.augmentation import diff_augment, random_flips, random_windows
from gan_models.images.degradations import degrade, degrade_seeded, image_seeds
from gan_models.images.degradations.blur import blur_kernels
from gan_models.images.degradations.noise import noise_levels
from gan_models.images.randomness import random_for, seed_of

EVERY = [
    Denoise(),
    Denoise(noise="poisson"),
    Inpaint(),
    Deblur(),
    SuperResolution(factor=2),
    SuperResolution(factor=4),
    SuperResolution(factor=2, chain="real"),
    Watermark(),
]


def photo_like(num: int, channels: int = 3, side: int = 32) -> torch.Tensor:
    """Smooth colors with edges, Float [num, channels, side, side] in [-1, 1], on the 256 values of 8 bits."""
    coarse = torch.rand(num, channels, 6, 6, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="nearest")
    return (smooth * 255).round() / 127.5 - 1


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


@pytest.mark.parametrize("sigma", [10, 40])
def test_photon_noise_grows_with_the_light_and_has_the_sigma_at_mid_gray(sigma) -> None:
    degradation = Denoise(noise="poisson", sigma_min=sigma, sigma_max=sigma)
    deviation = {
        level: degrade(torch.full((8, 3, 32, 32), level), degradation, random_for(0)).images.std() * 127.5
        for level in (-0.8, 0.0)
    }
    assert deviation[0.0].item() == pytest.approx(sigma, rel=0.05)
    assert deviation[-0.8] < 0.6 * deviation[0.0]


def test_the_sigmas_that_are_told_are_those_of_the_noise() -> None:
    images, degradation = torch.zeros(4, 3, 64, 64), Denoise(sigma_min=5, sigma_max=50)
    seeds = image_seeds(4, random_for(0))
    found = degrade_seeded(images, degradation, seeds).images.flatten(1).std(dim=1) * 127.5
    assert found.tolist() == pytest.approx(noise_levels(degradation, seeds), rel=0.05)


@pytest.mark.parametrize("degradation", [d for d in EVERY if not isinstance(d, Inpaint)])
def test_degraded_images_are_what_8_bits_hold_and_differ_from_the_originals(degradation) -> None:
    for images in (photo_like(4), torch.ones(4, 3, 32, 32)):
        degraded = degrade(images, degradation, random_for(0))
        assert degraded.images.abs().max() <= 1
        levels = (degraded.images + 1) * 127.5
        torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
        assert not degraded.mask.any()
    assert (degrade(photo_like(4), degradation, random_for(0)).images - photo_like(4)).flatten(1).abs().amax(
        1
    ).min() > 0


@pytest.mark.parametrize("degradation", EVERY)
def test_gray_images_of_any_shape_are_degraded_too(degradation) -> None:
    degraded = degrade(photo_like(2, channels=1)[..., :24], degradation, random_for(0))
    assert degraded.images.shape == (2, 1, 32, 24)
    assert degraded.mask.shape == (2, 1, 32, 24)


@pytest.mark.parametrize("kernel", ["isotropic", "anisotropic", "motion"])
def test_kernels_have_the_deviation_that_was_asked_for_along_their_longest_axis(kernel) -> None:
    kernels = blur_kernels(Deblur(kernel=kernel, sigma_min=2, sigma_max=2), range(20), side=64)
    steps = torch.arange(kernels.shape[1]) - kernels.shape[1] // 2.0
    longest = []
    for one in kernels:
        rows, columns = one.sum(1), one.sum(0)
        assert one.sum().item() == pytest.approx(1)
        covariance = (steps[:, None] * steps * one).sum()
        spread = torch.tensor([[(steps**2 * rows).sum(), covariance], [covariance, (steps**2 * columns).sum()]])
        longest.append(torch.linalg.eigvalsh(spread)[1].sqrt().item())
    # A path that bends is no longer than a straight one, and so less spread.
    assert max(longest) == pytest.approx(2, abs=0.1)
    assert min(longest) > (1.2 if kernel == "motion" else 1.9)


def test_kernels_grow_with_the_image() -> None:
    degradation = Deblur(kernel="isotropic", sigma_min=1, sigma_max=1)
    small, large = (blur_kernels(degradation, [0], side)[0] for side in (64, 128))
    assert large.max().item() == pytest.approx(small.max().item() / 4, rel=0.1)


def test_a_flat_image_stays_flat_under_any_kernel() -> None:
    flat = torch.full((6, 3, 32, 32), 0.2)
    degraded = degrade(flat, Deblur(noise=0), random_for(0)).images
    assert (degraded - 0.2).abs().max() < 1 / 127.5


def test_a_small_file_lies_behind_low_resolution() -> None:
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    degraded = degrade(images, SuperResolution(factor=4), random_for(0)).images
    # Sixteen pixels of noise became one: of their variance, about a sixteenth is left.
    assert degraded.var() < images.var() / 8
    assert degraded.mean().item() == pytest.approx(images.mean().item(), abs=0.02)


def test_a_watermark_covers_a_part_and_no_more_than_its_opacity() -> None:
    images = torch.zeros(60, 3, 64, 64)
    degraded = degrade(images, Watermark(opacity_min=0.4, opacity_max=0.4), random_for(0)).images
    changed = (degraded != degraded[:, :, :1, :1]).any(1).flatten(1).float().mean(1)
    assert degraded.abs().max() <= 0.4 + 1 / 127.5
    assert 0.02 < changed.mean() < 0.6
    assert len({image.numpy().tobytes() for image in degraded}) == 60


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


@pytest.mark.parametrize("degradation", EVERY)
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
