"""The classical methods do what they are known for: they are what models are compared with."""

import numpy as np
import pytest
import torch
from skimage.data import coffee

from gan_models.config import Deblur, Denoise, Inpaint, SuperResolution, Watermark
from gan_models.evaluation.metrics.psnr import psnr
from gan_models.evaluation.tasks.classical_baselines import (
    best_by,
    blind_candidates,
    classical_candidates,
    fill_by_diffusion,
)
from gan_models.images.degradations import degrade_seeded, image_seeds
from gan_models.images.pixels import to_float, to_uint8
from gan_models.images.randomness import random_for


@pytest.fixture(scope="module")
def originals():
    photo = torch.from_numpy(coffee()).permute(2, 0, 1)
    return torch.stack([photo[:, y : y + 48, x : x + 48] for y in (100, 180) for x in (200, 300, 400)])


def degraded_by(degradation, originals):
    seeds = image_seeds(len(originals), random_for(0))
    degraded = degrade_seeded(to_float(originals), degradation, seeds)
    return to_uint8(degraded.images).numpy(), degraded.mask.numpy() > 0.5, seeds


@pytest.mark.parametrize(
    ("degradation", "gain", "method"),
    [
        (Denoise(sigma_min=25, sigma_max=25), 5, "non-local means"),
        (Denoise(noise="poisson", sigma_min=25, sigma_max=25), 4, "non-local means"),
        (Deblur(sigma_min=2, sigma_max=2), 1, "Wiener filter told the kernel"),
        (Inpaint(), 8, ""),
    ],
)
def test_a_classical_method_gains_decibels_and_is_named(originals, degradation, gain, method) -> None:
    degraded, holes, seeds = degraded_by(degradation, originals)
    candidates = classical_candidates(degradation, degraded, holes, seeds)
    name, scores = best_by(candidates, lambda images: psnr(images, originals.numpy()))
    assert scores.mean() > psnr(degraded, originals.numpy()).mean() + gain
    assert name.startswith(method)
    assert all(images.shape == degraded.shape and images.dtype == np.uint8 for images in candidates.values())


def test_a_wiener_filter_that_is_told_the_kernel_is_better_than_one_that_guesses(originals) -> None:
    degradation = Deblur(sigma_min=2, sigma_max=2)
    degraded, holes, seeds = degraded_by(degradation, originals)
    told, guessed = (
        best_by(candidates, lambda images: psnr(images, originals.numpy()))[1].mean()
        for candidates in (
            classical_candidates(degradation, degraded, holes, seeds),
            blind_candidates(degradation, degraded),
        )
    )
    assert told > guessed > psnr(degraded, originals.numpy()).mean()


def test_bicubic_interpolation_is_what_low_resolution_comes_as(originals) -> None:
    degraded, holes, seeds = degraded_by(SuperResolution(factor=2), originals)
    (images,) = classical_candidates(SuperResolution(factor=2), degraded, holes, seeds).values()
    assert np.array_equal(images, degraded)


def test_watermarks_are_met_with_medians_and_nothing_else_is_blind(originals) -> None:
    degraded, holes, seeds = degraded_by(Watermark(), originals)
    assert all(name.startswith("median") for name in classical_candidates(Watermark(), degraded, holes, seeds))
    assert blind_candidates(Watermark(), degraded) == {}


def test_diffusion_continues_a_slope_and_leaves_known_pixels() -> None:
    slope = np.broadcast_to(np.arange(0, 240, 15, dtype=np.uint8), (1, 3, 16, 16)).copy()
    hole = np.zeros((1, 1, 16, 16), bool)
    hole[..., 5:11, 4:12] = True
    broken = np.where(hole, 128, slope).astype(np.uint8)
    assert np.array_equal(fill_by_diffusion(broken, hole), slope)


def test_holes_at_the_edge_and_images_that_are_all_hole_are_filled_or_left() -> None:
    images = np.full((2, 1, 8, 8), 90, np.uint8)
    hole = np.zeros((2, 1, 8, 8), bool)
    hole[0, :, :3], hole[1] = True, True
    images[hole] = 128
    filled = fill_by_diffusion(images, hole)
    assert (filled[0] == 90).all()
    assert (filled[1] == 128).all()


@pytest.mark.parametrize("degradation", [Denoise(), Deblur(), Inpaint(), Watermark(), SuperResolution()])
def test_gray_images_are_met_with_the_same_methods(originals, degradation) -> None:
    degraded, holes, seeds = degraded_by(degradation, originals[:2, :1])
    for images in classical_candidates(degradation, degraded, holes, seeds).values():
        assert images.shape == degraded.shape
