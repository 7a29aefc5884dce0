"""The evaluation of a model that tells the class of each pixel: overlap with real masks, next to answering blindly."""

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_models.bundles.bundle import Bundle
from gan_models.config import EvaluateConfig, MaskClasses
from gan_models.config.evaluate import MIN_IMAGES
from gan_models.data.masks import count_values, refuse_unknown_values
from gan_models.evaluation.collector import BaselineScore, Facts, Measurements, require
from gan_models.evaluation.figures.pictures import Row
from gan_models.evaluation.figures.translation_pictures import translation_figures
from gan_models.evaluation.metrics.iou import Overlaps, class_iou, image_iou, mean_iou, overlaps
from gan_models.evaluation.result import Slice
from gan_models.evaluation.stats.intervals import Estimate, difference_of, ratio_of
from gan_models.evaluation.tasks.base import Assignment, Evaluated
from gan_models.evaluation.tasks.paired_translator import STEPS
from gan_models.images.class_masks import IGNORED, colors_of, legend, numbers_of
from gan_models.inference.translate import translate

if TYPE_CHECKING:  # what evaluates cut and cyclegan as well does not depend on it
    from gan_models.config import Pix2PixConfig

Numbers = NDArray[np.uint8]


class Blind(NamedTuple):
    """An answer that does not look at the image: what it is called, and how it overlaps with the masks."""

    name: str
    counts: Overlaps


def steps(bundle: Bundle, config: EvaluateConfig) -> tuple[str, ...]:
    """Return what an evaluation does, in its order."""
    return STEPS


def evaluate(given: Assignment) -> Evaluated:
    """Tell the classes in windows of photographs, at most `config.num_images`, of the evaluation split's pairs.

    Raises:
        InsufficientDataError, NonFiniteError, DataError: see each; or masks have values that the config does not name.
    """
    bundle, data, config, extractor, cache, progress = given
    recipe = cast("Pix2PixConfig", bundle.recipe)
    classes = cast(MaskClasses, recipe.mask_classes)
    domains = cast(tuple[str, str], (recipe.source_domain, recipe.target_domain))
    progress("reading the images")
    inputs, masks = cache.pairs(data, "evaluation", bundle.image, domains, config.num_images, are_masks=True)
    _, known = cache.pairs(data, "train", bundle.image, domains, are_masks=True)
    refuse_unknown_values(count_values(masks.images), classes, f"the evaluation masks in {data}")
    right = numbers_of(masks.images, classes)
    require("windows of evaluation pairs with a pixel that is not ignored", int((right != IGNORED).any(2).any(1).sum()))

    progress("translating")
    told = numbers_of(translate(bundle, inputs.images, batch_size=config.batch_size), classes)
    progress("measuring")
    measured = Measurements(
        bundle,
        config,
        extractor,
        Facts(
            split_digest=f"{inputs.split_digest} {masks.split_digest}",
            training_digest=known.split_digest,
            degradation={"input": domains[0], "target": domains[1], "classes": recipe.classes, "ignore": recipe.ignore},
        ),
    )
    counts = overlaps(told.numpy(), right.numpy(), len(classes.names))
    _measure(measured, counts, _best_blind(numbers_of(known.images, classes), right.numpy(), classes), classes)
    progress("pictures")
    rows = [Row(inputs.images, domains[0]), Row(colors_of(told), "output"), Row(colors_of(right), domains[1])]
    below = f"Below each: the mean IoU of its own classes. {legend(classes)}"
    return measured, translation_figures(f"{domains[0]}_to_{domains[1]}", rows, image_iou(counts), "", below)


def _measure(measured: Measurements, counts: Overlaps, blind: Blind, classes: MaskClasses) -> None:
    """Add the IoU, mean and of each class, and the share of right pixels, next to those of the better blind answer."""
    mean, baseline = mean_iou(counts), mean_iou(blind.counts)
    measured.add("mean_iou", mean, baseline=BaselineScore(baseline.value, blind.name))
    measured.add("mean_iou_gain", difference_of(mean, baseline))
    accuracy, blindly = _pixel_accuracy(counts), _pixel_accuracy(blind.counts)
    measured.add("pixel_accuracy", accuracy, baseline=BaselineScore(blindly.value, blind.name))
    for number, name in enumerate(classes.names):
        part = Slice(kind="class", name=name)
        if number not in counts.present:
            measured.leave_out("iou", "no evaluation mask and no output has this class", part)
            continue
        num = int((counts.unions[:, number] > 0).sum())
        few = f"Only {num} images have this class, in the mask or in the output." if num < MIN_IMAGES else ""
        lost = number not in blind.counts.present
        measured.add(
            "iou",
            class_iou(counts, number),
            Facts(part),
            baseline=BaselineScore(0.0 if lost else class_iou(blind.counts, number).value, blind.name),
            note=few,
        )


def _pixel_accuracy(counts: Overlaps) -> Estimate:
    """Return the share of known pixels whose class is right: each wrong one is in the unions of two classes."""
    right = counts.intersections.sum(axis=1)
    wrong = (counts.unions.sum(axis=1) - right) / 2
    return ratio_of(right, right + wrong)


def _best_blind(known: Tensor, right: Numbers, classes: MaskClasses) -> Blind:
    """Return the better of two answers learned from masks alone: one class everywhere, or one for each place.

    Args:
        known: the training masks as class numbers, uint8 [N, S, S].
        right: the evaluation masks, alike.
        classes: what the numbers stand for.
    """
    num = len(classes.names)
    at_each = torch.stack([(known == number).sum(dim=0) for number in range(num)])
    most = int(at_each.sum(dim=(1, 2)).argmax())
    answers = {
        f"'{classes.names[most]}', the most frequent class, everywhere": torch.full_like(known[0], most),
        "the most frequent class of each place": at_each.argmax(dim=0),
    }
    of_each = [
        Blind(name, overlaps(np.broadcast_to(answer.numpy(), right.shape), right, num))
        for name, answer in answers.items()
    ]
    return max(of_each, key=lambda blind: mean_iou(blind.counts).value)
