"""The evaluation of a model that translates between two domains without pairs: one slice per direction."""

from pathlib import Path
from typing import NamedTuple, cast

from torch import Tensor

from gan_models.bundles.bundle import Bundle
from gan_models.config import EvaluateConfig
from gan_models.config.recipes.translation import UnpairedSection
from gan_models.evaluation.collector import Facts, Measurements, require
from gan_models.evaluation.features.cache import FeatureCache
from gan_models.evaluation.features.real_images import RealImages
from gan_models.evaluation.figures.pictures import NamedPicture, Row
from gan_models.evaluation.figures.translation_pictures import translation_figures
from gan_models.evaluation.metrics.psnr import psnr
from gan_models.evaluation.metrics.ssim import ssim
from gan_models.evaluation.result import Slice
from gan_models.evaluation.stats.intervals import mean_of
from gan_models.evaluation.tasks import paired_translator, segmenter
from gan_models.evaluation.tasks.base import Assignment, Evaluated
from gan_models.evaluation.tasks.distances import Baseline, RealSide, add_distances, add_diversity
from gan_models.evaluation.tasks.full_reference import ReferenceNetworks, add_feature_distances, load_reference_networks
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


def steps(bundle: Bundle, config: EvaluateConfig) -> tuple[str, ...]:
    """Return what an evaluation does, in its order."""
    if bundle.recipe.name == "pix2pix":
        return paired_translator.steps(bundle, config)
    directions = ("there", "back") if bundle.recipe.name == "cyclegan" else ("there",)
    return ("reading the images", *(f"{what} {way}" for way in directions for what in ("translating", "measuring")))


def evaluate(given: Assignment) -> Evaluated:
    """Translate windows of the source domain's evaluation images and compare them with the target domain, and back.

    Raises:
        InsufficientDataError, NonFiniteError, DataError: see each.
    """
    bundle, data, config, extractor, cache, progress = given
    if bundle.recipe.name == "pix2pix":
        if bundle.recipe.classes is not None:
            return segmenter.evaluate(given)
        return paired_translator.evaluate(given)
    recipe = cast(UnpairedSection, bundle.recipe)
    progress("reading the images")
    source = _domain(bundle, data, recipe.source_domain, config.num_images, cache)
    target = _domain(bundle, data, recipe.target_domain, config.num_images, cache)
    measured, networks = Measurements(bundle, config, extractor, Facts()), load_reference_networks(bundle.device)
    pictures = []
    ways = {"there": (source, target), "back": (target, source)}
    for way in ("there", "back") if recipe.name == "cyclegan" else ("there",):
        one, other = ways[way]
        progress(f"translating {way}")
        outputs = translate(bundle, one.inputs, reverse=way == "back", batch_size=config.batch_size)
        rows = [Row(one.inputs, one.name), Row(outputs, other.name)]
        if recipe.name == "cyclegan":
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
    networks: ReferenceNetworks,
    cache: FeatureCache,
    way: str,
) -> list[NamedPicture]:
    """Add the metrics of one direction; return its pictures. `rows`: inputs, outputs and, with a way back, cycled."""
    inputs, outputs = rows[0].images, rows[1].images
    part = Slice(kind="direction", name="reverse") if way == "back" else None
    facts = Facts(part, split_digest=f"{one.digest} {other.digest}")
    features = measured.extractor.features(outputs, batch_size)
    untouched = Baseline(cache.features(inputs, batch_size), "the untouched inputs")
    real = RealSide(cache.features(other.references, batch_size), cache.keep(other.references))
    add_distances(measured, features, real, untouched, facts, remark=other.note)
    score, unit, below = psnr(outputs.numpy(), inputs.numpy()), " dB", "Below each: its PSNR with the input."
    if measured.takes(min(inputs.shape[2:]), "content_ssim", part=part):
        score, unit = ssim(_gray(outputs), _gray(inputs)), ""
        below = "Below each: the SSIM of its luminance with that of the input."
        measured.add("content_ssim", mean_of(score), facts)
    add_feature_distances(measured, outputs, inputs, None, networks, batch_size, facts)
    add_diversity(measured, features, untouched, facts)
    if len(rows) > 2:
        measured.add("cycle_psnr", mean_of(psnr(rows[2].images.numpy(), inputs.numpy())), facts)
    return translation_figures(f"{one.name}_to_{other.name}", rows, score, unit, below)


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
    """Return the luminance of uint8 [N, C, H, W], as uint8 [N, 1, H, W]."""
    return to_uint8(2 * luminance(to_float(images)) - 1)
