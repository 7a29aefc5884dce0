"""What is known of real images, kept between evaluations: the real side is the same for every model.

Images of a dataset are known by the ids in it, so that whatever was computed of them is found again without decoding
any. Images that were made, such as degraded ones, are known by their pixels.
"""

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from gan_models.config import ImageConfig
from gan_models.data.pairs import list_pairs
from gan_models.data.split_index import Listing, list_split
from gan_models.evaluation.features.extractor import Extractor
from gan_models.evaluation.features.real_images import RealImages
from gan_models.evaluation.stats.intervals import Array
from gan_models.files import write_durably

Arrays = Mapping[str, Array]
Compute = Callable[[], Arrays]
Keep = Callable[[str, Compute], Arrays]


def compute_anew(what: str, compute: Compute) -> Arrays:
    """Compute what is asked for and keep nothing."""
    return compute()


class FeatureCache:
    """Features, and what is computed from them, by the digest of the images and of everything about the extractor.

    Args:
        directory: made when it is first needed; None keeps nothing.
        extractor: computes what is not there.
    """

    def __init__(self, directory: Path | None, extractor: Extractor) -> None:
        self._directory = directory
        self._extractor = extractor

    def images(
        self, data: Path, splits: tuple[str, ...], image: ImageConfig, domain: str | None = None, num: int | None = None
    ) -> RealImages:
        """Return the images of splits, or of one domain of them; pixels that were asked for are kept here.

        Args:
            num: so many of them at most, spread evenly.

        Raises:
            DataError: see `list_split`.
        """
        return self._images(tuple(list_split(data, split, image, domain) for split in splits), num)

    def pairs(
        self,
        data: Path,
        split: str,
        image: ImageConfig,
        domains: tuple[str, str],
        num: int | None = None,
        *,
        are_masks: bool = False,
    ) -> tuple[RealImages, RealImages]:
        """Return both sides of a split's pairs, or of only `num` of them, as `images`: equal places belong together.

        Args:
            are_masks: whether the second side says in each pixel what the first one shows.

        Raises:
            DataError: see `list_pairs`.
        """
        first, second = list_pairs(data, split, image, domains, are_masks=are_masks)
        return self._images((first,), num), self._images((second,), num)

    def _images(self, listings: tuple[Listing, ...], num: int | None) -> RealImages:
        return RealImages(listings, num, None if self._directory is None else self._directory / "pixels")

    def features(self, images: Tensor | RealImages, batch_size: int) -> Array:
        """Return features, float64 [N, d], of uint8 [N, C, H, W]. A damaged or foreign file is computed again.

        Raises:
            NonFiniteError: features are not finite; nothing is kept.
            DataError: images have to be decoded, and one is damaged.
        """
        shape = (len(images), self._extractor.dimension)

        def compute() -> Arrays:
            pixels = images.images if isinstance(images, RealImages) else images
            # They come from float32: nothing is lost.
            return {"features": self._extractor.features(pixels, batch_size).astype(np.float32)}

        kept = self._kept("features", images, compute, lambda arrays: arrays["features"].shape == shape)
        return kept["features"].astype(np.float64)

    def keep(self, images: Tensor | RealImages) -> Keep:
        """Return what keeps, by name, whatever is computed of the images' features."""
        return lambda what, compute: self._kept(what, images, compute, lambda arrays: True)

    def _kept(
        self, what: str, images: Tensor | RealImages, compute: Compute, is_valid: Callable[[Arrays], bool]
    ) -> Arrays:
        if self._directory is None:
            return compute()
        key = self._key(what, images)
        path = self._directory / f"{what}-{key[:32]}.npz"
        found = _read(path, key)
        if found is not None and is_valid(found):
            return found
        arrays = compute()
        content = io.BytesIO()
        np.savez(content, key=np.array(key), **arrays)  # type: ignore[arg-type]
        self._directory.mkdir(parents=True, exist_ok=True)
        write_durably(path, content.getvalue())
        return arrays

    def _key(self, what: str, images: Tensor | RealImages) -> str:
        extractor = self._extractor
        digest = images.digest if isinstance(images, RealImages) else _digest_of_pixels(images)
        network = [extractor.name, extractor.library, extractor.sha256, extractor.resize]
        facts = [what, digest, *network, extractor.device.type]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _digest_of_pixels(images: Tensor) -> str:
    shape = json.dumps(list(images.shape)).encode()
    return hashlib.sha256(shape + images.contiguous().numpy().tobytes()).hexdigest()


def _read(path: Path, key: str) -> Arrays | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return None
            arrays = {name: file[name] for name in file.files if name != "key"}
    except Exception:  # whatever a damaged archive raises: missing, truncated, not a zip, bad checksum
        return None
    return arrays if all(np.isfinite(array).all() for array in arrays.values()) else None
