"""The evaluation of a model that restores images: one slice per degradation."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_models.bundles.bundle import Bundle
from gan_models.config import Degradation, EvaluateConfig
from gan_models.evaluation.collector import BaselineScore, Facts, Measurements, require
from gan_models.evaluation.degradations import degradations_of
from gan_models.evaluation.errors import EvaluationError
from gan_models.evaluation.figures.pictures import NamedPicture, restoration_figures
from gan_models.evaluation.metrics.psnr import psnr
from gan_models.evaluation.metrics.ssim import ssim
from gan_models.evaluation.result import Slice
from gan_models.evaluation.stats.intervals import Array, mean_of
from gan_models.evaluation.tasks.base import Assignment, Evaluated
from gan_models.evaluation.tasks.classical_baselines import (
    Candidates,
    best_by,
    blind_candidates,
    classical_candidates,
    fill_with_mean_color,
    fill_with_nearest,
)
from gan_models.evaluation.tasks.distances import Baseline, RealSide, add_distances, add_diversity
from gan_models.evaluation.tasks.full_reference import (
    BaselineImages,
    add_feature_distances,
    add_luma,
    add_scales,
    load_reference_networks,
)
from gan_models.images.degradations import degrade_seeded, image_seeds
from gan_models.images.pixels import to_float, to_uint8
from gan_models.images.randomness import random_for
from gan_models.inference.restore import restore

DEGRADED = "degraded input"


class Case(NamedTuple):
    """What one degradation made of the originals, and the model of that.

    originals, degraded, restored: uint8 [N, C, S, S]
    holes: bool [N, 1, S, S], True where a pixel is missing
    seeds: of each image's degradation
    """

    originals: Tensor
    degraded: Tensor
    holes: Tensor
    restored: Tensor
    seeds: list[int]


def steps(bundle: Bundle, config: EvaluateConfig) -> tuple[str, ...]:
    """Return what an evaluation does, in its order."""
    each = tuple(
        f"{what} {d.name}"
        for d in degradations_of(bundle.recipe, config)
        for what in ("restoring", "measuring", "comparing")
    )
    return ("reading the images", "features of the originals", *each)


def evaluate(given: Assignment) -> Evaluated:
    """Degrade windows of the evaluation images, at most `config.num_images`, have them restored, and compare.

    Raises:
        InsufficientDataError, NonFiniteError, DataError: see each.
        EvaluationError: a degradation leaves images as they are.
    """
    bundle, data, config, extractor, cache, progress = given
    progress("reading the images")
    split = cache.images(data, ("evaluation",), bundle.image, num=config.num_images)
    require("windows of evaluation images", len(split))
    originals = split.images
    progress("features of the originals")
    original_features = cache.features(split, config.batch_size)

    measured = Measurements(bundle, config, extractor, Facts(split_digest=split.split_digest))
    networks = load_reference_networks(bundle.device)
    pictures: list[NamedPicture] = []
    real = RealSide(original_features, cache.keep(split))
    for degradation in degradations_of(bundle.recipe, config):
        name = degradation.name
        facts = Facts(Slice(kind="degradation", name=name), degradation=degradation.model_dump())
        progress(f"restoring {name}")
        case = _restore(bundle, originals, degradation, config)
        progress(f"measuring {name}")
        gain = _add_pixel_metrics(measured, case, facts)
        features = extractor.features(case.restored, config.batch_size)
        degraded = cache.features(case.degraded, config.batch_size)
        add_distances(measured, features, real, Baseline(degraded, DEGRADED), facts)
        add_diversity(measured, features, Baseline(original_features, "original images"), facts)
        untouched = BaselineImages(case.degraded, DEGRADED)
        add_feature_distances(measured, case.restored, originals, untouched, networks, config.batch_size, facts)
        progress(f"comparing {name}")
        holes = case.holes.numpy()
        candidates = classical_candidates(degradation, case.degraded.numpy(), holes, case.seeds)
        _add_classical(measured, case, candidates, "classical", facts)
        blind = blind_candidates(degradation, case.degraded.numpy())
        if blind:
            _add_classical(measured, case, blind, "classical_blind", facts)
        pictures += restoration_figures(name, case.degraded, case.restored, case.originals, gain)
    return measured, pictures


def _restore(bundle: Bundle, originals: Tensor, degradation: Degradation, config: EvaluateConfig) -> Case:
    seeds = image_seeds(len(originals), random_for(config.seed, "evaluation", degradation.name))
    degraded = degrade_seeded(to_float(originals), degradation, seeds)
    inputs, holes = to_uint8(degraded.images), degraded.mask > 0.5
    if torch.equal(inputs, originals):
        raise EvaluationError(f"the degradation {degradation.name} leaves every image as it is; choose a stronger one")
    restored = restore(bundle, inputs, holes, config.batch_size)
    return Case(originals, inputs, holes, restored, seeds)


def _add_pixel_metrics(measured: Measurements, case: Case, facts: Facts) -> Array:
    """Add PSNR and SSIM against the degraded input, and inside holes against plain fills; return the gain, dB [N]."""
    originals, degraded, restored = case.originals.numpy(), case.degraded.numpy(), case.restored.numpy()

    def add(metric: str, values: Array, baseline: Array | None = None, baseline_name: str = "") -> None:
        score = None if baseline is None else BaselineScore(float(baseline.mean()), baseline_name)
        measured.add(metric, mean_of(values), facts, baseline=score)

    before, after = psnr(degraded, originals), psnr(restored, originals)
    add("psnr", after, before, DEGRADED)
    add("psnr_gain", after - before)
    side = min(case.originals.shape[2:])
    if measured.takes(side, "ssim", "ssim_gain", part=facts.part):
        ssim_before, ssim_after = ssim(case.degraded, case.originals), ssim(case.restored, case.originals)
        add("ssim", ssim_after, ssim_before, DEGRADED)
        add("ssim_gain", ssim_after - ssim_before)
    untouched = BaselineImages(case.degraded, DEGRADED)
    add_luma(measured, case.restored, case.originals, untouched, facts)
    add_scales(measured, case.restored, case.originals, untouched, facts)
    holes = case.holes.numpy()
    if not holes.any():
        return after - before
    if not holes.any(axis=(1, 2, 3)).all():
        raise EvaluationError(f"some images of {facts.part} have no hole and others have; raise share_min")
    in_holes = psnr(restored, originals, holes)
    nearest = psnr(fill_with_nearest(degraded, holes), originals, holes)
    mean_color = psnr(fill_with_mean_color(degraded, holes), originals, holes)
    add("psnr_hole", in_holes, nearest, "nearest known pixel")
    add("psnr_hole_gain_nearest", in_holes - nearest)
    add("psnr_hole_gain_mean_color", in_holes - mean_color)
    return in_holes - nearest


def _add_classical(measured: Measurements, case: Case, candidates: Candidates, against: str, facts: Facts) -> None:
    """Add PSNR and SSIM less those of the best of the candidates, chosen for each of the two on these images."""

    def psnr_of(images: NDArray[np.uint8]) -> Array:
        return psnr(images, case.originals.numpy())

    def ssim_of(images: NDArray[np.uint8]) -> Array:
        return ssim(torch.from_numpy(images), case.originals)

    for metric, score in {f"psnr_gain_{against}": psnr_of, f"ssim_gain_{against}": ssim_of}.items():
        if measured.takes(min(case.originals.shape[2:]), metric, part=facts.part):
            method, theirs = best_by(candidates, score)
            gain = mean_of(score(case.restored.numpy()) - theirs)
            measured.add(metric, gain, facts, baseline=BaselineScore(0.0, method))
