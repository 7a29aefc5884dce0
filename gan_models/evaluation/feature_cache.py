"""Features of real images, kept between evaluations: the real side is the same for every model."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
from torch import Tensor

from gan_models.evaluation.extractor import Extractor
from gan_models.evaluation.intervals import Array
from gan_models.files import write_durably


class FeatureCache:
    """Features by the digest of the pixels, and of everything about the extractor.

    Args:
        directory: made when it is first needed; None keeps nothing.
        extractor: computes what is not there.
    """

    def __init__(self, directory: Path | None, extractor: Extractor) -> None:
        self._directory = directory
        self._extractor = extractor

    def features(self, images: Tensor, batch_size: int) -> Array:
        """Features, float64 [N, d], of uint8 [N, C, H, W]. A damaged or foreign file is computed again.

        Raises:
            NonFiniteError: features are not finite; nothing is kept.
        """
        if self._directory is None:
            return self._extractor.features(images, batch_size)
        key = self._key(images)
        path = self._directory / f"features-{key[:32]}.npz"
        kept = _read(path, key, (len(images), self._extractor.dimension))
        if kept is not None:
            return kept
        features = self._extractor.features(images, batch_size)
        content = io.BytesIO()
        np.savez(content, key=np.array(key), features=features.astype(np.float32))  # they come from float32: no loss
        self._directory.mkdir(parents=True, exist_ok=True)
        write_durably(path, content.getvalue())
        return features

    def _key(self, images: Tensor) -> str:
        extractor = self._extractor
        pixels = hashlib.sha256(images.contiguous().numpy().tobytes()).hexdigest()
        facts = [pixels, list(images.shape), extractor.name, extractor.sha256, extractor.resize, extractor.device.type]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _read(path: Path, key: str, shape: tuple[int, int]) -> Array | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["key"]) != key or file["features"].shape != shape:
                return None
            features: Array = file["features"].astype(np.float64)
            return features if np.isfinite(features).all() else None
    except Exception:  # whatever a damaged archive raises: missing, truncated, not a zip, bad checksum
        return None
