"""Sampling a model's images, and their features; in parts, where there are more than can be kept."""

import time
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_models.bundles.bundle import Bundle
from gan_models.config import EvaluateConfig
from gan_models.evaluation.features.extractor import Extractor
from gan_models.evaluation.metrics.frechet_distance import Moments
from gan_models.evaluation.stats.intervals import Array
from gan_models.inference.generate import generate

MAX_KEPT = 10_000  # images, where no intervals are asked for
PART = 1_024  # images at a time, where not all are kept


class Samples(NamedTuple):
    """Images sampled from a model, uint8 [N, C, S, S], their features, float64 [N, d], and labels asked for, int64 [N].

    sums: of the features of all images, where these are but some of them, spread evenly
    per_second: images sampled
    """

    images: Tensor
    features: Array
    asked: NDArray[np.int64] | None
    sums: Moments | None
    per_second: float


def sample_images(
    bundle: Bundle, asked: NDArray[np.int64] | None, config: EvaluateConfig, extractor: Extractor
) -> Samples:
    """Sample `config.num_images` images, of the labels asked for, and measure their features.

    Raises:
        NonFiniteError: images or features are not finite.
    """
    num = config.num_images
    kept = np.linspace(0, num - 1, num if config.intervals else min(num, MAX_KEPT)).astype(np.int64)
    sums = None if len(kept) == num else Moments(extractor.dimension)
    labels, seconds, images, features = None if asked is None else torch.from_numpy(asked), 0.0, [], []
    for first in range(0, num, PART):
        part = slice(first, min(first + PART, num))
        began = time.perf_counter()
        samples = generate(
            bundle,
            None if labels is None else labels[part],
            num_images=part.stop - first,
            first=first,
            seed=config.seed,
            batch_size=config.batch_size,
        )
        seconds += time.perf_counter() - began
        measured = extractor.features(samples, config.batch_size)
        if sums is not None:
            sums.add(measured)
        wanted = kept[(kept >= first) & (kept < part.stop)] - first
        images.append(samples[wanted])
        features.append(measured[wanted])
    return Samples(
        torch.cat(images), np.concatenate(features), None if asked is None else asked[kept], sums, num / seconds
    )
