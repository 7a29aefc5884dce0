"""The evaluation of a model that repaints photographs in several styles: one slice per style."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_models.bundles.bundle import Bundle
from gan_models.config import EvaluateConfig, ImageConfig, StyleBankConfig
from gan_models.data.image_set import windows
from gan_models.evaluation.collector import BaselineScore, Facts, Measurements, require
from gan_models.evaluation.errors import EvaluationError
from gan_models.evaluation.features.cache import FeatureCache
from gan_models.evaluation.figures.pictures import NamedPicture
from gan_models.evaluation.figures.style_pictures import (
    alphas_figure,
    matrix_figure,
    styles_figure,
    unseen_style_figure,
)
from gan_models.evaluation.metrics.catalog import METRICS
from gan_models.evaluation.metrics.content_distance import art_distance, content_distance
from gan_models.evaluation.metrics.frechet_distance import frechet_distance
from gan_models.evaluation.metrics.psnr import psnr
from gan_models.evaluation.metrics.ssim import ssim
from gan_models.evaluation.metrics.style_distance import Styles, style_statistics
from gan_models.evaluation.result import Slice
from gan_models.evaluation.stats.intervals import Array, Estimate, mean_of
from gan_models.evaluation.tasks.base import Assignment, Evaluated
from gan_models.evaluation.tasks.distances import Baseline, RealSide, add_distances
from gan_models.evaluation.tasks.full_reference import in_stages
from gan_models.images.paired_inputs import luminance
from gan_models.images.pixels import to_float, to_uint8
from gan_models.inference.stylize import stylize
from gan_models.ingest.decoding import UnreadableImageError, decode
from gan_models.networks.feature_network import FeatureNetwork, load_feature_network

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
PHOTOGRAPHS = "the untouched photographs"


class Paintings(NamedTuple):
    """Windows of the paintings of both splits, uint8 [M, C, S, S], their styles int64 [M], and what they are.

    A style is that of whole paintings: there is nothing in it to hold out.
    """

    windows: Tensor
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    digest: str


class Painted(NamedTuple):
    """Photographs in one style at each of `ALPHAS`: uint8 [N, C, S, S], and their distances to all styles [N, K]."""

    images: list[Tensor]
    distances: list[Array]


def steps(bundle: Bundle, config: EvaluateConfig) -> tuple[str, ...]:
    """Return what an evaluation does, in its order."""
    each = tuple(f"painting {name}" for name in bundle.label_names or ("the style",))
    return ("reading the images", *each, "measuring", *(("the unseen style",) if config.unseen_style else ()))


def evaluate(given: Assignment) -> Evaluated:
    """Repaint windows of the source domain's evaluation images in every style, and compare them with the paintings.

    Raises:
        InsufficientDataError, NonFiniteError, DataError: see each.
        EvaluationError: the styles are not those of the data, or the unseen style cannot be read.
    """
    bundle, data, config, extractor, cache, progress = given
    progress("reading the images")
    recipe = cast(StyleBankConfig, bundle.recipe)
    source = cache.images(data, ("evaluation",), bundle.image, recipe.source_domain, config.num_images)
    require(f"windows of evaluation images of the domain '{recipe.source_domain}'", len(source))
    photographs = source.images
    paintings = _paintings(bundle, data, recipe.target_domain, cache)
    network = load_feature_network("efficientnet_lite0").to(bundle.device)
    styles = Styles(
        style_statistics(paintings.windows, network, config.batch_size), paintings.labels, len(paintings.names)
    )
    before = styles.distances(style_statistics(photographs, network, config.batch_size))
    measured = Measurements(bundle, config, extractor, Facts(split_digest=f"{source.split_digest}+{paintings.digest}"))
    painted = []
    for index, name in enumerate(paintings.names):
        progress(f"painting {name}")
        images = [
            stylize(bundle, photographs, style=index, alpha=alpha, batch_size=config.batch_size) for alpha in ALPHAS
        ]
        distances = [styles.distances(style_statistics(each, network, config.batch_size)) for each in images]
        painted.append(Painted(images, distances))
    progress("measuring")
    _add_styles(measured, photographs, painted, before, paintings.names)
    _add_alphas(measured, photographs, painted)
    _add_quality(measured, photographs, painted, paintings, network, config, cache)

    full = [each.images[-1] for each in painted]
    matrix = np.stack([each.distances[-1].mean(axis=0) for each in painted])
    pictures = [
        styles_figure(photographs, full, _typical(paintings, styles, network, config.batch_size), paintings.names),
        matrix_figure(matrix, before.mean(axis=0), paintings.names),
        alphas_figure([each.images for each in painted], ALPHAS, paintings.names),
    ]
    if config.unseen_style:
        progress("the unseen style")
        pictures.append(_unseen(bundle, measured, photographs, styles, network, config))
    return measured, pictures


def _add_styles(
    measured: Measurements, photographs: Tensor, painted: Sequence[Painted], before: Array, names: Sequence[str]
) -> None:
    """Add each style's distance to its own paintings, and whether these are the nearest."""
    staged = Facts(features=in_stages())
    nearest = np.stack([each.distances[-1].argmin(axis=1) == index for index, each in enumerate(painted)], axis=1)
    means = np.stack([each.distances[-1].mean(axis=0) for each in painted])
    chance = BaselineScore(1 / len(names), PHOTOGRAPHS)
    measured.add("style_matched", mean_of(nearest.mean(axis=1)), staged, baseline=chance)
    matched = float((means.argmin(axis=1) == np.arange(len(names))).mean())
    note = "Counted over styles; it has no interval."
    measured.add("styles_matched", Estimate(matched, np.zeros(len(photographs))), staged, baseline=chance, note=note)
    for index, name in enumerate(names):
        own, part = painted[index], Slice(kind="style", name=name)
        facts = replace(staged, part=part)
        row = ", ".join(f"{other} {means[index, k]:.2f}" for k, other in enumerate(names))
        measured.add(
            "style_distance",
            mean_of(own.distances[-1][:, index]),
            facts,
            baseline=BaselineScore(float(before[:, index].mean()), PHOTOGRAPHS),
            note=f"Photographs painted as {name} are at these mean distances from the paintings: {row}.",
        )
        untouched = BaselineScore(float((before.argmin(axis=1) == index).mean()), PHOTOGRAPHS)
        measured.add("style_matched", mean_of(nearest[:, index] * 1.0), facts, baseline=untouched)
        _add_content_ssim(measured, own.images[-1], photographs, Facts(part))


def _add_alphas(measured: Measurements, photographs: Tensor, painted: Sequence[Painted]) -> None:
    """Add what alpha does: nothing at 0, and more with every step."""
    staged = Facts(features=in_stages())
    measured.add("alpha0_psnr", mean_of(psnr(painted[0].images[0].numpy(), photographs.numpy())))
    originals = photographs.double()
    monotonic, curves = [], []
    for index, each in enumerate(painted):
        away = np.stack([(x.double() - originals).abs().mean(dim=(1, 2, 3)).numpy() for x in each.images])
        style = np.stack([distances[:, index] for distances in each.distances])
        monotonic.append((np.diff(away, axis=0) > 0).all(axis=0) & (np.diff(style, axis=0) < 0).all(axis=0))
        curves.append(bool((np.diff(away.mean(axis=1)) > 0).all() and (np.diff(style.mean(axis=1)) < 0).all()))
    measured.add("alpha_monotonic", mean_of(np.mean(monotonic, axis=0)), staged)
    note = "Counted over styles; it has no interval."
    measured.add("styles_monotonic", Estimate(float(np.mean(curves)), np.zeros(len(photographs))), staged, note=note)


def _add_quality(
    measured: Measurements,
    photographs: Tensor,
    painted: Sequence[Painted],
    paintings: Paintings,
    network: FeatureNetwork,
    config: EvaluateConfig,
    cache: FeatureCache,
) -> None:
    """Add how near the paintings and the content a set is in which each photograph is painted in one style."""
    mixed = torch.stack([painted[i % len(painted)].images[-1][i] for i in range(len(photographs))])
    real = RealSide(cache.features(paintings.windows, config.batch_size))
    features = measured.extractor.features(mixed, config.batch_size)
    untouched = Baseline(cache.features(photographs, config.batch_size), PHOTOGRAPHS)
    content = mean_of(content_distance(mixed, photographs, network, config.batch_size))
    remark = "Each photograph in one style, in turn; the paintings are those of both splits."
    frechet = add_distances(measured, features, real, untouched, remark=remark)
    _add_content_ssim(measured, mixed, photographs, Facts())
    measured.add("content_distance", content, Facts(features=in_stages()))
    num, smallest = len(photographs), cast(int, METRICS["art_distance"].min_images)
    if num < smallest:
        reason = f"takes {smallest} windows of photographs or more (num_images), and these are {num}"
        measured.leave_out("art_distance", reason, smallest=smallest)
        return
    usual = 1 + frechet_distance(untouched.features, real.frechet).value
    facts, score = Facts(num_real=len(real.features)), BaselineScore(usual, PHOTOGRAPHS)
    measured.add_distance("art_distance", art_distance(content, frechet), facts, baseline=score)


def _unseen(
    bundle: Bundle,
    measured: Measurements,
    photographs: Tensor,
    styles: Styles,
    network: FeatureNetwork,
    config: EvaluateConfig,
) -> NamedPicture:
    """Add the slice `unseen`: photographs in the style of a picture that no training has seen."""
    example, digest = _read(cast(Path, config.unseen_style), bundle.image)
    painted = stylize(bundle, photographs, style_image=example, batch_size=config.batch_size)
    parts = windows(example[None], bundle.image.size)
    wanted = style_statistics(parts, network, config.batch_size)
    after, before = (
        styles.distances_to(style_statistics(x, network, config.batch_size), wanted) for x in (painted, photographs)
    )
    facts = Facts(Slice(kind="unseen", name="style"), training_digest=digest)
    score = BaselineScore(float(before.mean()), PHOTOGRAPHS)
    measured.add("style_distance", mean_of(after), replace(facts, features=in_stages()), baseline=score)
    _add_content_ssim(measured, painted, photographs, facts)
    return unseen_style_figure(photographs, painted, parts)


def _paintings(bundle: Bundle, data: Path, domain: str, cache: FeatureCache) -> Paintings:
    paintings = cache.images(data, ("evaluation", "train"), bundle.image, domain)
    names = paintings.label_names
    if bundle.label_names != names:
        raise EvaluationError(
            f"the model paints the styles {', '.join(bundle.label_names) or '(one)'}, and the data has "
            f"{', '.join(names) or 'none'}; evaluate it on the data it was trained for"
        )
    labels = np.zeros(len(paintings), np.int64) if paintings.labels is None else paintings.labels
    return Paintings(paintings.images, labels, names or ("the style",), paintings.split_digest)


def _typical(paintings: Paintings, styles: Styles, network: FeatureNetwork, batch_size: int) -> Tensor:
    """Return of each style the window that is nearest to its mean, uint8 [K, C, S, S]."""
    distances = styles.distances(style_statistics(paintings.windows, network, batch_size))
    own = np.where(paintings.labels[:, None] == np.arange(distances.shape[1]), distances, np.inf)
    return paintings.windows[own.argmin(axis=0)]


def _read(path: Path, image: ImageConfig) -> tuple[Tensor, str]:
    """Return a picture as uint8 [C, H, W], and the SHA-256 of its file."""
    try:
        content = path.read_bytes()
        picture = decode(content).convert("L" if image.channels == 1 else "RGB")
    except (OSError, UnreadableImageError) as error:
        raise EvaluationError(f"evaluate.unseen_style {path} cannot be read: {error}") from None
    if min(picture.size) < image.size:
        raise EvaluationError(f"evaluate.unseen_style {path} is smaller than a window of {image.size} pixels")
    pixels = torch.from_numpy(np.array(picture).reshape(picture.height, picture.width, image.channels))
    return pixels.permute(2, 0, 1).contiguous(), hashlib.sha256(content).hexdigest()


def _add_content_ssim(measured: Measurements, images: Tensor, originals: Tensor, facts: Facts) -> None:
    if measured.takes(min(images.shape[2:]), "content_ssim", part=facts.part):
        one, other = (to_uint8(2 * luminance(to_float(x)) - 1) for x in (images, originals))
        measured.add("content_ssim", mean_of(ssim(one, other)), facts)
