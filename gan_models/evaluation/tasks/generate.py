"""The evaluation of a model that generates images."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_models.bundles.bundle import Bundle
from gan_models.config import EvaluateConfig
from gan_models.evaluation.collector import BaselineScore, Facts, Measurements, require
from gan_models.evaluation.errors import EvaluationError
from gan_models.evaluation.features.real_images import RealImages
from gan_models.evaluation.figures.pictures import nearest_training_figure, samples_figure
from gan_models.evaluation.metrics.inception_score import inception_score
from gan_models.evaluation.metrics.label_accuracy import classes_present, label_accuracy, train_judge
from gan_models.evaluation.metrics.nearest_training import nearest_training
from gan_models.evaluation.metrics.psnr import psnr
from gan_models.evaluation.result import Slice
from gan_models.evaluation.stats.intervals import Array, mean_of, share_of
from gan_models.evaluation.tasks.base import Assignment, Evaluated
from gan_models.evaluation.tasks.distances import (
    NO_INCEPTION,
    Baseline,
    RealSide,
    add_distances,
    add_diversity,
    add_neighborhoods,
)
from gan_models.evaluation.tasks.sampling import sample_images
from gan_models.inference.generate import reconstruct
from gan_models.networks.vae import Vae

MAX_TRAINING_IMAGES = 10_000  # that samples are compared with; evenly spaced ones beyond
EVALUATION_IMAGES = "evaluation images"
NO_LABELS = "takes a model that is asked for labels, and this one is not"

STEPS = (
    "reading the images",
    "sampling images",
    "features of the training images",
    "features of the evaluation images",
    "distances",
    "labels",
    "pictures",
)


def steps(bundle: Bundle, config: EvaluateConfig) -> tuple[str, ...]:
    """Return what an evaluation does, in its order."""
    return STEPS


def evaluate(given: Assignment) -> Evaluated:
    """Sample images, labels as frequent as in the evaluation split, and compare them with real ones.

    Raises:
        InsufficientDataError, NonFiniteError, DataError: see each.
        EvaluationError: the labels of the bundle are not those of the data.
    """
    bundle, data, config, extractor, cache, progress = given
    progress("reading the images")
    evaluation = cache.images(data, ("evaluation",), bundle.image)
    training = cache.images(data, ("train",), bundle.image, num=MAX_TRAINING_IMAGES)
    real_labels, known_labels = evaluation.labels, training.labels
    require("evaluation images", len(evaluation))
    require("training images", len(training))
    require("images to draw (num_images)", config.num_images)
    asked = _labels_to_ask_for(bundle, evaluation, real_labels, config.num_images)

    progress("sampling images")
    samples, features, asked, sums, throughput = sample_images(bundle, asked, config, extractor)
    progress("features of the training images")
    known_features = cache.features(training, config.batch_size)
    progress("features of the evaluation images")
    real_features = cache.features(evaluation, config.batch_size)

    progress("distances")
    measured = Measurements(bundle, config, extractor, Facts(split_digest=evaluation.split_digest))
    measured.throughput = throughput
    real_side = RealSide(real_features, cache.keep(evaluation))
    peer = known_features[_evenly(len(known_features), config.num_images)]
    training_images = Baseline(peer, f"{len(peer)} training images")
    add_distances(measured, features, real_side, training_images, sums=sums)
    add_neighborhoods(measured, features, real_side, training_images)
    if extractor.classifier is None:
        measured.leave_out("inception_score", NO_INCEPTION)
    else:
        own, usual = (inception_score(one @ extractor.classifier.T) for one in (features, real_features))
        score = BaselineScore(usual.value, EVALUATION_IMAGES)
        measured.add_distance(extractor.metric("is"), own, Facts(num_real=len(evaluation)), baseline=score)
    _add_diversity(measured, features, asked, real_features, real_labels, evaluation.label_names)
    nearest = nearest_training(features, known_features)
    usual_distance = float(nearest_training(real_features, known_features).distance.mean())
    facts = Facts(num_real=len(training), training_digest=training.split_digest)
    score = BaselineScore(usual_distance, EVALUATION_IMAGES)
    measured.add_distance("nearest_training_distance", mean_of(nearest.distance), facts, baseline=score)
    progress("labels")
    if known_labels is None or real_labels is None or len(np.unique(known_labels)) < 2:
        for name in ("label_accuracy", "classes_present"):
            measured.leave_out(name, "takes two labels or more, and the training images have fewer")
    else:
        judge = train_judge(training.images.numpy(), known_features, known_labels)
        facts = replace(facts, judge=str(judge))
        recognized = judge.recognize(samples.numpy(), features)
        on_real = judge.recognize(evaluation.images.numpy(), real_features)
        frequencies = np.bincount(real_labels, minlength=len(evaluation.label_names)) / len(real_labels)
        if asked is None:
            measured.leave_out("label_accuracy", NO_LABELS)
        else:
            _add_label_accuracy(
                measured,
                label_accuracy(recognized, asked),
                asked,
                label_accuracy(on_real, real_labels),
                real_labels,
                evaluation.label_names,
                facts,
            )
        score = BaselineScore(classes_present(on_real, frequencies).value, EVALUATION_IMAGES)
        estimate = classes_present(recognized, frequencies)
        note = "Counted over all samples; it has no interval."
        measured.add("classes_present", estimate, facts, baseline=score, note=note)
    if isinstance(bundle.network, Vae):
        _add_reconstruction(measured, bundle, evaluation.images, real_labels, training.images, config.batch_size)
    progress("pictures")
    names = evaluation.label_names if asked is not None else ()
    pictures = [
        samples_figure(samples, asked, evaluation.images, real_labels, names),
        nearest_training_figure(samples, training.images, nearest.distance, nearest.which),
    ]
    return measured, pictures


def _add_diversity(
    measured: Measurements,
    features: Array,
    asked: NDArray[np.int64] | None,
    real_features: Array,
    real_labels: NDArray[np.int64] | None,
    label_names: tuple[str, ...],
) -> None:
    """Add the diversity within labels, then of each label that has two images on both sides."""
    whole, facts = Baseline(real_features, EVALUATION_IMAGES), Facts(num_real=len(real_features))
    if asked is None or real_labels is None:
        add_diversity(measured, features, whole, facts)
        return
    add_diversity(measured, features, whole, facts, labels=asked, baseline_labels=real_labels)
    for label, name in enumerate(label_names):
        own, usual = features[asked == label], real_features[real_labels == label]
        part = Slice(kind="label", name=name)
        if min(len(own), len(usual)) > 1:
            add_diversity(measured, own, Baseline(usual, EVALUATION_IMAGES), Facts(part, num_real=len(usual)))
        else:
            reason = "takes two images or more of a label, among the samples (num_images) and the evaluation images"
            measured.leave_out("diversity", reason, part, smallest=2)


def _add_label_accuracy(
    measured: Measurements,
    right: Array,
    asked: NDArray[np.int64],
    right_on_real: Array,
    real_labels: NDArray[np.int64],
    label_names: tuple[str, ...],
    facts: Facts,
) -> None:
    """Add the accuracy over all samples, then for each label."""
    of_judge = "the judge on evaluation images"
    score = float(right_on_real.mean())
    note = "" if score >= 0.9 else f"The judge itself recognizes only {score:.0%} of the real evaluation images."
    measured.add("label_accuracy", share_of(right), facts, baseline=BaselineScore(score, of_judge), note=note)
    for label, name in enumerate(label_names):
        own, part = asked == label, Slice(kind="label", name=name)
        if own.any():
            usual = BaselineScore(float(right_on_real[real_labels == label].mean()), of_judge)
            measured.add("label_accuracy", share_of(right[own]), replace(facts, part=part), baseline=usual)
        else:
            measured.leave_out("label_accuracy", "takes a sample of the label, and num_images leaves it none", part, 1)


def _add_reconstruction(
    measured: Measurements,
    bundle: Bundle,
    real: Tensor,
    real_labels: NDArray[np.int64] | None,
    known: Tensor,
    batch_size: int,
) -> None:
    """Add the PSNR of evaluation images encoded and decoded, next to that of the mean training image."""
    labels = None if real_labels is None else torch.from_numpy(real_labels)
    copies = reconstruct(bundle, real, labels, batch_size).numpy()
    mean = known.double().mean(dim=0, keepdim=True).round().to(torch.uint8).expand_as(real).numpy()
    measured.add(
        "reconstruction_psnr",
        mean_of(psnr(copies, real.numpy())),
        baseline=BaselineScore(float(psnr(mean, real.numpy()).mean()), "the mean training image"),
    )


def _labels_to_ask_for(
    bundle: Bundle, evaluation: RealImages, real_labels: NDArray[np.int64] | None, num: int
) -> NDArray[np.int64] | None:
    """Return labels as frequent as in the evaluation split, int64 [num], sorted; None where the model takes none."""
    if not bundle.recipe.uses_labels or not bundle.label_names:
        return None
    if real_labels is None or bundle.label_names != evaluation.label_names:
        raise EvaluationError(
            f"the model draws the labels {', '.join(bundle.label_names)}, and the data has "
            f"{', '.join(evaluation.label_names) or 'none'}; evaluate it on the data it was trained for"
        )
    share = np.bincount(real_labels, minlength=len(bundle.label_names)) / len(real_labels) * num
    counts = np.floor(share).astype(np.int64)
    most_missing = np.argsort(-(share - counts), kind="stable")
    counts[most_missing[: num - counts.sum()]] += 1
    return np.repeat(np.arange(len(counts)), counts)


def _evenly(length: int, num: int) -> NDArray[np.int64]:
    """Return `num` indices, or all, spread evenly over `length`."""
    return np.linspace(0, length - 1, min(length, num)).astype(np.int64)
