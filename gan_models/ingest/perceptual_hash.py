"""Images that are almost the same, by perceptual hash: a copy made smaller, brighter or compressed again.

The hash is pHash, 64 signs of low frequencies of a small gray copy (Zauner 2010, "Implementation and Benchmarking of
Perceptual Image Hash Functions"), by ImageHash. Of two copies few signs differ; of two photographs about half. Of two
drawings on black, such as handwritten digits, few differ as well: so a pair is only a candidate until its pixels were
compared.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

MAX_DISTANCE = 4  # of 17 photographs: copies made smaller or JPEG at most 2, 10% brighter 4; others 20 and more
NUM_BITS = 64
# Of 32x32 gray copies. Copies of 17 photographs made smaller, 20% brighter or JPEG have 0.993 at least; the 93 pairs of
# scikit-learn's handwritten digits whose hashes are near have 0.990 at most.
MIN_CORRELATION = 0.992
THUMBNAIL_SIDE = 32
_BLOCK = 1 << 22  # pairs that are compared at a time

Hashes = npt.NDArray[np.uint64]
Thumbnail = npt.NDArray[np.uint8]  # gray, [THUMBNAIL_SIDE, THUMBNAIL_SIDE]


class Pair(NamedTuple):
    """Positions of two images in the two lists that were compared, and how many signs of their hashes differ."""

    first: int
    second: int
    distance: int


def perceptual_hash(image: Image.Image) -> str | None:
    """Return the pHash of an image of mode L or RGB, as 16 hexadecimal digits; None for one without any content.

    An image of a single gray has no frequencies whose signs could be compared, and would resemble every other such one.
    """
    from imagehash import phash

    gray = image.convert("L")
    darkest, lightest = cast(tuple[int, int], gray.resize((8, 8), Image.Resampling.BOX).getextrema())
    if lightest - darkest < 2:
        return None
    return np.packbits(phash(gray).hash).tobytes().hex()


def thumbnail(image: Image.Image) -> Thumbnail:
    """Return the gray copy of an image by which it is compared with another."""
    small = image.convert("L").resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(small, np.uint8)


def correlation(one: Thumbnail, two: Thumbnail) -> float:
    """Return Pearson's correlation of two gray copies: 1 for those that differ in brightness and contrast alone."""
    first, second = (copy.astype(np.float64).ravel() - copy.mean() for copy in (one, two))
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / norms if norms else 0.0


def near_duplicates(left: Hashes, right: Hashes, *, max_distance: int = MAX_DISTANCE) -> Iterator[Pair]:
    """Yield all pairs of a hash in `left` and one in `right` that differ in at most `max_distance` bits.

    The bits are cut into `max_distance + 1` bands: of two such hashes at least one band is the same, so that only
    those which share a band are compared, not all with all.
    """
    edges = [NUM_BITS * band // (max_distance + 1) for band in range(max_distance + 2)]
    bands = [(low, (1 << (high - low)) - 1) for low, high in pairwise(edges)]
    for number, (low, mask) in enumerate(bands):
        ours, theirs = _band(left, low, mask), _band(right, low, mask)
        order = np.argsort(theirs, kind="stable")
        starts = np.searchsorted(theirs[order], ours, "left")
        counts = np.searchsorted(theirs[order], ours, "right") - starts
        for i, j in _joined(starts, counts):
            j = order[j]
            distance = np.bitwise_count(left[i] ^ right[j])
            keep = distance <= max_distance
            for earlier_low, earlier_mask in bands[:number]:  # Those that share an earlier band were told already.
                keep &= _band(left[i], earlier_low, earlier_mask) != _band(right[j], earlier_low, earlier_mask)
            for a, b, d in zip(i[keep], j[keep], distance[keep], strict=True):
                yield Pair(int(a), int(b), int(d))


def _joined(
    starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> Iterator[tuple[npt.NDArray[np.int64], ...]]:
    """Yield positions of all pairs, a bounded number of them at a time."""
    total = np.cumsum(counts)
    begin = 0
    while begin < len(counts):
        before = total[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(total, before + _BLOCK, "right")))
        part = counts[begin:end]
        i = np.repeat(np.arange(begin, end), part)
        offset = np.arange(int(part.sum())) - np.repeat(np.cumsum(part) - part, part)
        yield i, np.repeat(starts[begin:end], part) + offset
        begin = end


def _band(hashes: Hashes, low: int, mask: int) -> Hashes:
    return (hashes >> np.uint64(low)) & np.uint64(mask)
