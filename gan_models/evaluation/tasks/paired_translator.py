"""The evaluation of a pix2pix model: what it makes of one side of each pair, next to two ways of doing nothing."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor

from gan_models.bundles.bundle import Bundle
from gan_models.config import EvaluateConfig
from gan_models.evaluation.collector import BaselineScore, Facts, Measurements, require
from gan_models.evaluation.features.cache import FeatureCache
from gan_models.evaluation.figures.pictures import Row
from gan_models.evaluation.figures.translation_pictures import translation_figures
from gan_models.evaluation.metrics.iou import image_iou, overlaps
from gan_models.evaluation.metrics.psnr import psnr
from gan_models.evaluation.metrics.ssim import ssim
from gan_models.evaluation.stats.intervals import Array, mean_of
from gan_models.evaluation.tasks.base import Assignment, Evaluated
from gan_models.evaluation.tasks.distances import Baseline, RealSide, add_distances, add_diversity
from gan_models.evaluation.tasks.full_reference import BaselineImages, add_feature_distances, load_reference_networks
from gan_models.images.paired_inputs import NUM_TONES, condition, luminance, tones_of
from gan_models.images.pixels import to_float, to_uint8
from gan_models.inference.translate import translate

if TYPE_CHECKING:  # what evaluates cut and cyclegan as well does not depend on it
    from gan_models.config import Pix2PixConfig

INPUT = "the input itself"
MEAN_IMAGE = "the mean training image"
STEPS = ("reading the images", "translating", "measuring", "pictures")


class Pairs(NamedTuple):
    """What is evaluated on, uint8 [N, C, S, S].

    known: all targets of the training split
    names: of the inputs and the targets
    usual: what the targets are called as a baseline
    digest, known_digest: of the images that the pairs and `known` come from
    """

    inputs: Tensor
    targets: Tensor
    known: Tensor
    names: tuple[str, str]
    usual: str
    digest: str
    known_digest: str


class Case(NamedTuple):
    """Inputs, what they should become, what the model made of them, and the constant answer: uint8 [N, C, S, S]."""

    inputs: Tensor
    targets: Tensor
    outputs: Tensor
    mean: Tensor


def steps(bundle: Bundle, config: EvaluateConfig) -> tuple[str, ...]:
    """Return what an evaluation does, in its order."""
    return STEPS


def evaluate(given: Assignment) -> Evaluated:
    """Translate one side of pairs of windows, at most `config.num_images`, of the evaluation split's pairs or images.

    Raises:
        InsufficientDataError, NonFiniteError, DataError: see each.
    """
    bundle, data, config, extractor, cache, progress = given
    recipe = cast("Pix2PixConfig", bundle.recipe)
    progress("reading the images")
    domains = recipe.paired_domains
    if domains is None:
        pairs = _made_pairs(bundle, data, config.num_images, cache)
    else:
        pairs = _pairs_of_data(bundle, data, domains, config.num_images, cache)
    inputs, targets, known = pairs.inputs, pairs.targets, pairs.known

    progress("translating")
    outputs = translate(bundle, inputs, batch_size=config.batch_size)
    progress("measuring")
    source, target = pairs.names
    measured = Measurements(
        bundle,
        config,
        extractor,
        Facts(
            split_digest=pairs.digest,
            training_digest=pairs.known_digest,
            degradation={"input": source, "target": target},
        ),
    )
    if recipe.target == "tones":
        score = _add_overlaps(measured, Case(inputs, targets, outputs, _most_frequent(known).expand_as(targets)))
        unit, below = "", "Below each: its mean intersection over union."
    else:
        mean = known.double().mean(dim=0, keepdim=True).round().to(torch.uint8)
        score = _add_similarities(measured, Case(inputs, targets, outputs, mean.expand_as(targets)))
        _add_distances(measured, pairs, outputs, cache, config.batch_size)
        identity = BaselineImages(inputs, INPUT)
        networks = load_reference_networks(bundle.device)
        add_feature_distances(measured, outputs, targets, identity, networks, config.batch_size)
        unit, below = " dB", "Below each: its PSNR."
    progress("pictures")
    rows = [Row(inputs, source), Row(outputs, "output"), Row(targets, "target" if domains is None else target)]
    return measured, translation_figures(f"{source}_to_{target}", rows, score, unit, below)


def _made_pairs(bundle: Bundle, data: Path, num: int, cache: FeatureCache) -> Pairs:
    """Return pairs of which both sides are made from one image."""
    recipe = cast("Pix2PixConfig", bundle.recipe)
    evaluation = cache.images(data, ("evaluation",), bundle.image, num=num)
    training = cache.images(data, ("train",), bundle.image)
    require("windows of evaluation images", len(evaluation))
    inputs, targets = (to_uint8(condition(to_float(evaluation.images), kind)) for kind in (recipe.input, recipe.target))
    known = to_uint8(condition(to_float(training.images), recipe.target))
    names, usual = (recipe.input, recipe.target), "original images"
    return Pairs(inputs, targets, known, names, usual, evaluation.split_digest, training.split_digest)


def _pairs_of_data(bundle: Bundle, data: Path, domains: tuple[str, str], num: int, cache: FeatureCache) -> Pairs:
    """Return the pairs of a dataset, as they are."""
    inputs, targets = cache.pairs(data, "evaluation", bundle.image, domains, num)
    _, training = cache.pairs(data, "train", bundle.image, domains)
    require("windows of evaluation pairs", len(inputs))
    digest = f"{inputs.split_digest} {targets.split_digest}"
    usual = f"real images of '{domains[1]}'"
    return Pairs(inputs.images, targets.images, training.images, domains, usual, digest, training.split_digest)


def _add_similarities(measured: Measurements, case: Case) -> Array:
    """Add PSNR and SSIM against the input itself and against the mean training image; return the PSNR, dB [N]."""
    arrays = [images.numpy() for images in case]
    own, identity, mean = (psnr(arrays[which], arrays[1]) for which in (2, 0, 3))
    _add_with_gains(measured, "psnr", own, identity, mean, MEAN_IMAGE)
    side = min(case.targets.shape[2:])
    if measured.takes(side, "ssim", "ssim_gain_identity", "ssim_gain_mean"):
        scores = [ssim(images, case.targets) for images in (case.outputs, case.inputs, case.mean)]
        _add_with_gains(measured, "ssim", scores[0], scores[1], scores[2], MEAN_IMAGE)
    return own


def _add_overlaps(measured: Measurements, case: Case) -> Array:
    """Add the mean IoU against fixed thresholds of the input, and against the same tones for all; return it."""
    targets = tones_of(to_float(case.targets)).numpy()
    fixed = (luminance(to_float(case.inputs))[:, 0] * NUM_TONES).long().clamp(max=NUM_TONES - 1)
    own, identity, mean = (
        image_iou(overlaps(tones.numpy(), targets, NUM_TONES))
        for tones in (tones_of(to_float(case.outputs)), fixed, tones_of(to_float(case.mean)))
    )
    _add_with_gains(measured, "tone_iou", own, identity, mean, "the most frequent tone of each pixel")
    return own


def _add_with_gains(
    measured: Measurements, name: str, own: Array, identity: Array, mean: Array, mean_name: str
) -> None:
    plain = BaselineScore(float(identity.mean()), INPUT), BaselineScore(float(mean.mean()), mean_name)
    measured.add(name, mean_of(own), baseline=max(plain))
    measured.add(f"{name}_gain_identity", mean_of(own - identity))
    measured.add(f"{name}_gain_mean", mean_of(own - mean))


def _add_distances(measured: Measurements, pairs: Pairs, outputs: Tensor, cache: FeatureCache, batch_size: int) -> None:
    features = measured.extractor.features(outputs, batch_size)
    target_features, input_features = (cache.features(images, batch_size) for images in (pairs.targets, pairs.inputs))
    add_distances(measured, features, RealSide(target_features), Baseline(input_features, INPUT))
    add_diversity(measured, features, Baseline(target_features, pairs.usual))


def _most_frequent(known: Tensor) -> Tensor:
    """Return the tone that most of uint8 [N, C, S, S], each in tones, have at a pixel, as uint8 [1, C, S, S]."""
    tones = tones_of(to_float(known))
    counts: dict[str, Any] = {"dim": 0, "keepdim": True}
    most = torch.stack([(tones == number).sum(**counts) for number in range(NUM_TONES)]).argmax(dim=0)
    return to_uint8((most.float() - 1).unsqueeze(1)).expand(-1, known.shape[1], -1, -1)
