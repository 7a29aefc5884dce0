"""Images that are almost the same on both sides of the evaluation: candidates by their hashes, confirmed by pixels."""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow.compute as pc

from gan_models.data.shards import read_shard, shard_paths
from gan_models.ingest.decoding import DecodingLimits, UnreadableImageError, decode
from gan_models.ingest.perceptual_hash import MIN_CORRELATION, Thumbnail, correlation, thumbnail

MAX_CANDIDATES = 200_000  # Among drawings of one digit there are millions.
MAX_COMPARED = 10_000  # of these, the nearest by their hashes
MAX_PIXELS = 2_000_000_000  # that are decoded to compare them, in about half a minute


class HashedImage(NamedTuple):
    """What a candidate is known by: where it came from, and its perceptual hash as 16 hexadecimal digits."""

    source: str
    phash: str


class Candidate(NamedTuple):
    """An image for training and one for evaluation whose hashes differ in `distance` bits."""

    distance: int
    train: HashedImage
    evaluation: HashedImage


@dataclass(frozen=True)
class NearDuplicate:
    """An image for training and one for evaluation that are almost the same, by where they came from.

    distance: bits in which their hashes differ
    correlation: of their gray copies of 32x32 pixels, at least `MIN_CORRELATION`
    """

    train: str
    evaluation: str
    distance: int
    correlation: float


@dataclass(frozen=True)
class NearDuplicates:
    """The pairs that were confirmed, the nearest first. `is_complete`: whether every candidate was compared."""

    pairs: tuple[NearDuplicate, ...] = ()
    is_complete: bool = True


def nearest(candidates: Iterable[Candidate]) -> tuple[list[Candidate], bool]:
    """Return those candidates that are to be compared, and whether these are all."""
    remaining = iter(candidates)
    first = list(islice(remaining, MAX_CANDIDATES))
    are_all = len(first) <= MAX_COMPARED and next(remaining, None) is None
    return nsmallest(MAX_COMPARED, first), are_all


def confirm(candidates: list[Candidate], directory: Path, *, are_all: bool = True) -> NearDuplicates:
    """Return the candidates whose pixels are almost the same.

    Args:
        candidates: as `nearest` gives them.
        directory: the dataset with the images of all of them.
        are_all: whether there are no others.

    Raises:
        DataError: a shard is damaged.
    """
    wanted = {image for candidate in candidates for image in (candidate.train, candidate.evaluation)}
    thumbnails = _thumbnails(wanted, directory)
    confirmed = []
    for distance, train, evaluation in candidates:
        one, two = thumbnails.get(train), thumbnails.get(evaluation)
        if one is None or two is None:
            are_all = False
        elif (alike := correlation(one, two)) >= MIN_CORRELATION:
            confirmed.append(NearDuplicate(train.source, evaluation.source, distance, round(alike, 4)))
    return NearDuplicates(tuple(confirmed), are_all)


def _thumbnails(wanted: set[HashedImage], directory: Path) -> dict[HashedImage, Thumbnail]:
    """Return gray copies of the images; of a photograph's tiles with one hash, the first stands for all."""
    found: dict[HashedImage, Thumbnail] = {}
    budget = MAX_PIXELS
    for path in shard_paths(directory) if wanted else []:
        facts = read_shard(path, ["source", "phash", "width", "height"]).to_pylist()
        here: dict[HashedImage, int] = {}
        for number, row in enumerate(facts):
            image = HashedImage(row["source"], row["phash"])
            if image in wanted and image not in found and image not in here and budget > 0:
                here[image] = number
                budget -= row["width"] * row["height"]
        if not here:
            continue
        files = pc.struct_field(read_shard(path, ["image"])["image"], "bytes")
        for image, number in here.items():
            try:
                found[image] = thumbnail(decode(files[number].as_py(), limits=DecodingLimits(min_side=1)))
            except UnreadableImageError:
                continue  # Whoever reads the shard for its images is told.
    return found
