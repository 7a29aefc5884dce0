"""The evaluation of a model that draws images."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_models.config import EvaluateConfig
from gan_models.evaluation.errors import EvaluationError
from gan_models.evaluation.extractor import Extractor
from gan_models.evaluation.feature_cache import FeatureCache
from gan_models.evaluation.intervals import Array, mean_of
from gan_models.evaluation.measurements import Measurements, Progress, require
from gan_models.evaluation.metrics.diversity import diversity
from gan_models.evaluation.metrics.frechet_distance import RealFeatures, frechet_distance
from gan_models.evaluation.metrics.label_accuracy import classes_present, label_accuracy, train_judge
from gan_models.evaluation.metrics.nearest_training import nearest_training
from gan_models.evaluation.metrics.psnr import psnr
from gan_models.evaluation.pictures import NamedPicture, draw_nearest_training, draw_samples
from gan_models.images.image_set import ImageSet, load_split, windows
from gan_models.inference.bundle import Bundle
from gan_models.inference.generate import generate, reconstruct
from gan_models.networks.vae import Vae

MAX_TRAINING_IMAGES = 10_000  # that samples are compared with; evenly spaced ones beyond

STEPS = (
    "reading the images",
    "drawing images",
    "features of the training images",
    "features of the evaluation images",
    "features of the drawn images",
    "distances",
    "labels",
    "pictures",
)


def evaluate_generator(
    bundle: Bundle,
    data: Path,
    config: EvaluateConfig,
    extractor: Extractor,
    cache: FeatureCache,
    progress: Progress,
) -> tuple[Measurements, list[NamedPicture]]:
    """Draw `config.num_images` images, labels as frequent as in the evaluation split, and compare them with real ones.

    Raises:
        InsufficientDataError, NonFiniteError, DataError: see each.
        EvaluationError: the labels of the bundle are not those of the data.
    """
    progress("reading the images")
    evaluation, training = load_split(data, "evaluation", bundle.image), load_split(data, "train", bundle.image)
    real, real_labels = _images(evaluation, bundle.image.size)
    known, known_labels = _images(training, bundle.image.size)
    kept = np.linspace(0, len(known) - 1, min(len(known), MAX_TRAINING_IMAGES)).astype(np.int64)
    known, known_labels = known[kept], None if known_labels is None else known_labels[kept]
    require("evaluation images", len(real))
    require("training images", len(known))
    require("images to draw (num_images)", config.num_images)
    asked = _labels_to_ask_for(bundle, evaluation, real_labels, config.num_images)

    progress("drawing images")
    labels = None if asked is None else torch.from_numpy(asked)
    drawn = generate(bundle, labels, num_images=config.num_images, seed=config.seed, batch_size=config.batch_size)
    progress("features of the training images")
    known_features = cache.features(known, config.batch_size)
    progress("features of the evaluation images")
    real_features = cache.features(real, config.batch_size)
    progress("features of the drawn images")
    features = extractor.features(drawn, config.batch_size)

    progress("distances")
    image = bundle.image
    measured = Measurements(
        extractor,
        seed=config.seed,
        split_digest=evaluation.digest,
        image=f"{image.size}x{image.size}x{image.channels} {image.fit}",
    )
    against = RealFeatures(real_features)
    peer = known_features[_evenly(len(known_features), config.num_images)]
    measured.add_frechet(
        frechet_distance(features, against),
        num_real=len(real),
        baseline=frechet_distance(peer, against).value,
        baseline_name=f"{len(peer)} training images",
    )
    measured.add_distance(
        "diversity",
        diversity(features, asked),
        baseline=diversity(real_features, None if asked is None else real_labels).value,
        baseline_name="evaluation images",
        num_real=len(real),
    )
    nearest = nearest_training(features, known_features)
    measured.add_distance(
        "nearest_training_distance",
        mean_of(nearest.distance),
        baseline=float(nearest_training(real_features, known_features).distance.mean()),
        baseline_name="evaluation images",
        num_real=len(known),
        training_digest=training.digest,
    )
    progress("labels")
    if known_labels is not None and real_labels is not None and len(np.unique(known_labels)) > 1:
        judge = train_judge(known.numpy(), known_features, known_labels)
        facts: dict[str, Any] = {"training_digest": training.digest, "judge": str(judge), "num_real": len(known)}
        recognised = judge.recognise(drawn.numpy(), features)
        on_real = judge.recognise(real.numpy(), real_features)
        frequencies = np.bincount(real_labels, minlength=len(evaluation.label_names)) / len(real_labels)
        if asked is not None:
            _add_label_accuracy(
                measured,
                label_accuracy(recognised, asked),
                asked,
                label_accuracy(on_real, real_labels),
                real_labels,
                evaluation.label_names,
                facts,
            )
        baseline = classes_present(on_real, frequencies).value
        estimate = classes_present(recognised, frequencies)
        note = "Counted over all samples; it has no interval."
        measured.add(
            "classes_present", estimate, baseline=baseline, baseline_name="evaluation images", note=note, **facts
        )
    if isinstance(bundle.network, Vae):
        _add_reconstruction(measured, bundle, real, real_labels, known, config.batch_size)
    progress("pictures")
    names = evaluation.label_names if asked is not None else ()
    pictures = [
        draw_samples(drawn, asked, real, real_labels, names),
        draw_nearest_training(drawn, known, nearest.distance, nearest.which),
    ]
    return measured, pictures


def _add_label_accuracy(
    measured: Measurements,
    right: Array,
    asked: NDArray[np.int64],
    right_on_real: Array,
    real_labels: NDArray[np.int64],
    label_names: tuple[str, ...],
    facts: dict[str, Any],
) -> None:
    """The accuracy over all samples, then for each label."""
    of_judge = "the judge on evaluation images"
    score = float(right_on_real.mean())
    note = "" if score >= 0.9 else f"The judge itself recognises only {score:.0%} of the real evaluation images."
    measured.add(
        "label_accuracy",
        mean_of(right),
        baseline=score,
        baseline_name=of_judge,
        note=note,
        **facts,
    )
    for label in np.unique(asked):
        own = asked == label
        measured.add(
            "label_accuracy",
            mean_of(right[own]),
            slice_name=f"label_{label_names[label]}",
            baseline=float(right_on_real[real_labels == label].mean()),
            baseline_name=of_judge,
            **facts,
        )


def _add_reconstruction(
    measured: Measurements,
    bundle: Bundle,
    real: Tensor,
    real_labels: NDArray[np.int64] | None,
    known: Tensor,
    batch_size: int,
) -> None:
    """PSNR of evaluation images encoded and decoded, beside that of the mean training image in place of each."""
    labels = None if real_labels is None else torch.from_numpy(real_labels)
    copies = reconstruct(bundle, real, labels, batch_size).numpy()
    mean = known.double().mean(dim=0, keepdim=True).round().to(torch.uint8).expand_as(real).numpy()
    measured.add(
        "reconstruction_psnr",
        mean_of(psnr(copies, real.numpy())),
        baseline=float(psnr(mean, real.numpy()).mean()),
        baseline_name="the mean training image",
    )


def _images(split: ImageSet, size: int) -> tuple[Tensor, NDArray[np.int64] | None]:
    """Images of a split at the model's size, uint8 [N, C, S, S], and their labels; windows of larger ones."""
    labels = None if split.labels is None else split.labels.numpy()
    if split.images.shape[-2:] == (size, size):
        return split.images, labels
    cut = windows(split.images, size)
    return cut, None if labels is None else np.repeat(labels, len(cut) // len(labels))


def _labels_to_ask_for(
    bundle: Bundle, evaluation: ImageSet, real_labels: NDArray[np.int64] | None, num: int
) -> NDArray[np.int64] | None:
    """Labels as frequent as in the evaluation split, int64 [num], sorted; None where the model takes none."""
    if not getattr(bundle.recipe, "conditional", False) or not bundle.label_names:
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
    """`num` indices, or all, spread evenly over `length`."""
    return np.linspace(0, length - 1, min(length, num)).astype(np.int64)


__all__ = ["STEPS", "evaluate_generator"]
