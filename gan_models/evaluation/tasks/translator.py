"""The evaluation of a model that translates between two domains without pairs: one slice per direction."""

from pathlib import Path
from typing import Any, NamedTuple, cast

from torch import Tensor

from gan_models.bundles.bundle import Bundle
from gan_models.config import CutConfig, CycleganConfig, EvaluateConfig, Pix2PixConfig
from gan_models.evaluation.collector import Measurements, Progress, require
from gan_models.evaluation.features.cache import FeatureCache
from gan_models.evaluation.features.extractor import Extractor
from gan_models.evaluation.features.real_images import RealImages
from gan_models.evaluation.figures.pictures import NamedPicture, Row
from gan_models.evaluation.figures.translation_pictures import draw_translated
from gan_models.evaluation.metrics.psnr import psnr
from gan_models.evaluation.metrics.ssim import ssim
from gan_models.evaluation.stats.intervals import mean_of
from gan_models.evaluation.tasks import paired_translator, segmenter
from gan_models.evaluation.tasks.distances import Baseline, RealSide, add_distances, add_diversity
from gan_models.evaluation.tasks.full_reference import Perception, add_feature_distances, load_perception
from gan_models.images.paired_inputs import luminance
from gan_models.images.pixels import to_float, to_uint8
from gan_models.inference.translate import translate

MIN_TARGETS = 100  # windows of the target domain's evaluation split; with fewer, the training ones count as well


class Domain(NamedTuple):
    """A domain's windows.

    inputs: of its evaluation split, at most as many as the config asks for, uint8 [N, C, S, S]
    references: what translations into it are compared with
    digest: of where both come from
    """

    name: str
    inputs: Tensor
    references: RealImages
    digest: str
    note: str


def steps(bundle: Bundle) -> tuple[str, ...]:
    """What an evaluation does, in its order."""
    if isinstance(bundle.recipe, Pix2PixConfig):
        return paired_translator.STEPS
    directions = ("there", "back") if isinstance(bundle.recipe, CycleganConfig) else ("there",)
    return ("reading the images", *(f"{what} {way}" for way in directions for what in ("translating", "measuring")))


def evaluate_translator(
    bundle: Bundle,
    data: Path,
    config: EvaluateConfig,
    extractor: Extractor,
    cache: FeatureCache,
    progress: Progress,
) -> tuple[Measurements, list[NamedPicture]]:
    """Translate windows of the source domain's evaluation images and compare them with the target domain, and back.

    Raises:
        InsufficientDataError, NonFiniteError, DataError: see each.
    """
    if isinstance(bundle.recipe, Pix2PixConfig):
        if bundle.recipe.classes is not None:
            return segmenter.evaluate_segmenter(bundle, data, config, extractor, cache, progress)
        return paired_translator.evaluate_paired_translator(bundle, data, config, extractor, cache, progress)
    recipe = cast(CycleganConfig | CutConfig, bundle.recipe)
    progress("reading the images")
    source = _domain(bundle, data, recipe.source_domain, config.num_images, cache)
    target = _domain(bundle, data, recipe.target_domain, config.num_images, cache)
    measured, networks = Measurements(bundle, config, extractor), load_perception(bundle.device)
    pictures = []
    ways = {"there": (source, target), "back": (target, source)}
    for way in ("there", "back") if isinstance(recipe, CycleganConfig) else ("there",):
        one, other = ways[way]
        progress(f"translating {way}")
        outputs = translate(bundle, one.inputs, reverse=way == "back", batch_size=config.batch_size)
        rows = [Row(one.inputs, one.name), Row(outputs, other.name)]
        if isinstance(recipe, CycleganConfig):
            rows.append(Row(translate(bundle, outputs, reverse=way == "there", batch_size=config.batch_size), "again"))
        progress(f"measuring {way}")
        pictures += _measure(measured, one, other, rows, config.batch_size, networks, cache, way)
    return measured, pictures


def _measure(
    measured: Measurements,
    one: Domain,
    other: Domain,
    rows: list[Row],
    batch_size: int,
    networks: Perception,
    cache: FeatureCache,
    way: str,
) -> list[NamedPicture]:
    """The metrics and pictures of one direction. `rows`: inputs, outputs and, where there is a way back, cycled."""
    inputs, outputs = rows[0].images, rows[1].images
    slice_name = "reverse" if way == "back" else None
    facts: dict[str, Any] = {"slice_name": slice_name, "split_digest": f"{one.digest} {other.digest}"}
    features = measured.extractor.features(outputs, batch_size)
    untouched = Baseline(cache.features(inputs, batch_size), "the untouched inputs")
    real = RealSide(cache.features(other.references, batch_size), cache.keep(other.references))
    add_distances(measured, features, real, untouched, remark=other.note, **facts)
    content = ssim(_gray(outputs), _gray(inputs))
    measured.add("content_ssim", mean_of(content), **facts)
    add_feature_distances(measured, outputs, inputs, None, networks, batch_size, **facts)
    add_diversity(measured, features, untouched, **facts)
    if len(rows) > 2:
        measured.add("cycle_psnr", mean_of(psnr(rows[2].images.numpy(), inputs.numpy())), **facts)
    below = "Below each: the SSIM of its luminance with that of the input."
    return draw_translated(f"{one.name}_to_{other.name}", rows, content, "", below)


def _domain(bundle: Bundle, data: Path, name: str, num_images: int, cache: FeatureCache) -> Domain:
    evaluation = cache.images(data, ("evaluation",), bundle.image, name)
    inputs = cache.images(data, ("evaluation",), bundle.image, name, num_images)
    require(f"windows of evaluation images of the domain '{name}'", len(inputs))
    splits: tuple[str, ...] = ("evaluation",)
    note = ""
    if len(evaluation) < MIN_TARGETS:
        splits, note = ("evaluation", "train"), f"The real ones include those of training, all of '{name}'."
    references = cache.images(data, splits, bundle.image, name, num_images)
    return Domain(name, inputs.images, references, references.split_digest, note)


def _gray(images: Tensor) -> Tensor:
    """The luminance of uint8 [N, C, H, W], as uint8 [N, 1, H, W]."""
    return to_uint8(2 * luminance(to_float(images)) - 1)
