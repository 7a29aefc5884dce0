"""Are the samples what was asked for? A classifier that learned from the real training images is the judge."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_models.evaluation.stats.intervals import Array, Estimate
from gan_models.images.pixels import require_uint8

PRESENT_FROM = 0.1  # of a label's real frequency: one stray sample does not make a label present
MAX_TRAINING_IMAGES = 5_000

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Judge:
    """A classifier of labels, and what it looks at: "pixels" or "features"."""

    looks_at: str
    classifier: Any

    def recognize(self, pixels: NDArray[np.uint8], features: Array) -> Labels:
        """Return the label of each image, int64 [N], from uint8 [N, C, H, W] and float64 [N, d]."""
        recognized: Labels = self.classifier.predict(_view(self.looks_at, pixels, features))
        return recognized

    def __str__(self) -> str:
        return f"support vectors on {self.looks_at}"


def train_judge(pixels: NDArray[np.uint8], features: Array, labels: Labels) -> Judge:
    """Train support vectors on pixels and on features; return what does better on held-out thirds of these images.

    Args:
        pixels: uint8 [N, C, H, W], of the real training images.
        features: float64 [N, d].
        labels: int64 [N], of two kinds at least; beyond 5,000 images, evenly spaced ones are used.
    """
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    chosen = np.linspace(0, len(labels) - 1, min(len(labels), MAX_TRAINING_IMAGES)).astype(np.int64)
    pixels, features, labels = pixels[chosen], features[chosen], labels[chosen]
    classifiers = {
        "pixels": SVC(C=10, gamma="scale"),
        "features": make_pipeline(StandardScaler(), SVC(C=10, gamma="scale")),
    }
    folds = min(3, int(np.unique(labels, return_counts=True)[1].min()))
    scores = {
        looks_at: cross_val_score(classifier, _view(looks_at, pixels, features), labels, cv=folds).mean()
        if folds > 1
        else 0.0
        for looks_at, classifier in classifiers.items()
    }
    looks_at = max(scores, key=lambda name: scores[name])
    return Judge(looks_at, classifiers[looks_at].fit(_view(looks_at, pixels, features), labels))


def label_accuracy(recognized: Labels, asked: Labels) -> Array:
    """Return 1 where a sample is recognized as the label asked for, 0 elsewhere, float64 [N]."""
    right: Array = (recognized == asked).astype(np.float64)
    return right


def classes_present(recognized: Labels, frequencies: Array) -> Estimate:
    """Return share of labels that are recognized at a tenth of their real frequency or more.

    It is counted, not estimated: every influence is zero.

    Args:
        recognized: int64 [N].
        frequencies: float64 [L], the share of real images with each label; labels without any do not count.
    """
    found = np.bincount(recognized, minlength=len(frequencies)) / len(recognized)
    real = frequencies > 0
    present = (found >= PRESENT_FROM * frequencies) & (found > 0)
    return Estimate(float(present[real].mean()), np.zeros(len(recognized)))


def _view(looks_at: str, pixels: NDArray[np.uint8], features: Array) -> Array:
    require_uint8(pixels)
    return pixels.reshape(len(pixels), -1) / 255.0 if looks_at == "pixels" else features
