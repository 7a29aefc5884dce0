"""Evaluation images that the model may have seen: near copies of training images, re-encoded, scaled or brightened.

Found among the nearest training images in features, then confirmed by the pixels: as thumbnails the two are the same
but for brightness and contrast. Measured: of 250 handwritten digits, each of which has look-alikes, the nearest come to
a correlation of 0.996, of 68 tiles of photographs to 0.94. At 0.998 no image is called a copy that is none; copies in
JPEG at quality 75 are found of 100 in 100 digits and of 68 in 100 tiles, many of which are grain alone.

A pair is a near copy where both its sides are, of one and the same pair: different photographs may share a plain map.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from gan_models.bundles.bundle import Bundle
from gan_models.evaluation.features.cache import FeatureCache
from gan_models.evaluation.features.real_images import RealImages
from gan_models.evaluation.metrics.pairwise import pairwise_distances
from gan_models.evaluation.stats.intervals import Array

CHUNK = 500
MAX_EVALUATION, MAX_TRAINING = 2_000, 10_000  # evenly spaced ones beyond
NEIGHBORS = 5  # training images that an evaluation image is looked at next to
THUMBNAIL = 16  # pixels a side
SAME = 0.998  # correlation of thumbnails from which on two images are one


def near_duplicates(bundle: Bundle, data: Path, cache: FeatureCache, batch_size: int) -> tuple[str, ...]:
    """Return a note for each domain in which evaluation images are near copies of training images, or one for
    its pairs.

    Raises:
        DataError: a split cannot be read.
    """
    whole = bundle.image.model_copy(update={"fit": "cover"})  # photographs, not the windows that are cut of them
    notes = []
    domains, makes_masks = bundle.recipe.paired_domains, bundle.recipe.mask_classes is not None
    if domains and not makes_masks:
        evaluation = cache.pairs(data, "evaluation", whole, domains, MAX_EVALUATION)
        training = cache.pairs(data, "train", whole, domains, MAX_TRAINING)
        notes += _note("pairs", "", evaluation, training, cache, batch_size)
    else:
        # Of photographs with masks the photographs alone: one that was seen in training is known, whatever its mask.
        both = bundle.recipe.domains[: 1 if makes_masks else 2]
        named: list[str | None] = [domain for domain in both if domain]
        for domain in named or [None]:
            images = cache.images(data, ("evaluation",), whole, domain, MAX_EVALUATION)
            known = cache.images(data, ("train",), whole, domain, MAX_TRAINING)
            of = f" of the domain {domain}" if domain else ""
            notes += _note("images", of, (images,), (known,), cache, batch_size)
    return tuple(notes)


def _note(
    what: str,
    of: str,
    evaluation: tuple[RealImages, ...],
    training: tuple[RealImages, ...],
    cache: FeatureCache,
    batch_size: int,
) -> list[str]:
    """Return a note where some of `evaluation` are near copies of some of `training`; both have as many sides."""

    def compute() -> dict[str, Array]:
        sides = list(zip(evaluation, training, strict=True))
        nearest = [_nearest(cache.features(own, batch_size), cache.features(known, batch_size)) for own, known in sides]
        neighbors = [
            np.min([correlation(own.images, known.images[which]) for own, known in sides], axis=0)
            for which in np.concatenate(nearest, axis=1).T
        ]
        return {"correlation": np.max(neighbors, axis=0)}

    digests = "-".join(side.digest[:16] for side in (*training, *evaluation[1:]))
    kept = cache.keep(evaluation[0])(f"near-duplicates-{digests}", compute)
    num = int((kept["correlation"] >= SAME).sum())
    if not num:
        return []
    return [
        f"{num} of {len(evaluation[0])} evaluation {what}{of} are near copies of training {what}: what is "
        "measured on them says nothing of new images. Remove the copies from the sources, and let tiles of one "
        "photograph share a split."
    ]


def _nearest(features: Array, known: Array) -> NDArray[np.int64]:
    """Return which rows of `known`, float64 [M, d], are nearest to `features`, float64 [N, d]: int64 [N, <= 5]."""
    most = min(NEIGHBORS, len(known))
    parts = []
    for start in range(0, len(features), CHUNK):
        distances = pairwise_distances(features[start : start + CHUNK], known)
        parts.append(np.argpartition(distances, most - 1, axis=1)[:, :most])
    return np.concatenate(parts)


def correlation(a: Tensor, b: Tensor) -> Array:
    """Return Pearson's correlation of the gray thumbnails of two lists of images, uint8 [N, C, H, W]: float64 [N].

    Images without any contrast, of which every two are alike, count as 0.
    """
    left, right = (_centered(images) for images in (a, b))
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    product: Array = (left * right).sum(axis=1)
    return np.where(norms > 0, product / np.where(norms > 0, norms, 1.0), 0.0)


def _centered(images: Tensor) -> NDArray[np.float64]:
    parts = []
    for some in images.split(256):  # type: ignore[no-untyped-call]
        gray = some.to(torch.float64).mean(dim=1, keepdim=True)
        parts.append(adaptive_avg_pool2d(gray, THUMBNAIL).flatten(1).numpy())
    thumbnails = np.concatenate(parts)
    centered: NDArray[np.float64] = thumbnails - thumbnails.mean(axis=1, keepdims=True)
    return centered
