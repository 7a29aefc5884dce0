"""Decoded images in a file that is mapped into memory: for sets that are larger than it, and for several processes.

A set is `<digest>.pixels`, uint8 [N, C, H, W] as it is, and, written after it, `<digest>.json` with its SHA-256.
"""

import fcntl
import hashlib
import json
import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gan_models.data.image_set import ImageSet, with_pixels
from gan_models.data.split_index import Listing, Progress
from gan_models.data.stored_images import Pixels
from gan_models.files import TEMPORARY_SUFFIX, sync, write_durably

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)


def load_mapped(listing: Listing, cache: Path, progress: Progress | None = None) -> ImageSet:
    """Map the images of a listing into memory from a file in `cache`, which is written the first time.

    They are read from the disk as they are needed, and kept in whatever memory is free. A file that is there is
    verified, and a damaged one is written again. Processes that come at the same time wait for the one that decodes.

    Raises:
        DataError: a shard or an image is damaged.
        OSError: the file could not be written, for want of space for instance; nothing is left of it.
    """
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{listing.digest}.pixels"
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not _is_whole(path):
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_whole(path):
                _write(path, listing, progress)
        return with_pixels(listing, open_mapped(path, (len(listing), *listing.shape)))


def _is_whole(path: Path) -> bool:
    try:
        expected = json.loads(path.with_suffix(".json").read_bytes())["sha256"]
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError):
        found, expected = "", "?"
    if found != expected:
        logger.warning("%s is damaged: its images are decoded again", path)
    return bool(found == expected)


def _write(path: Path, listing: Listing, progress: Progress | None) -> None:
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    path.with_suffix(".json").unlink(missing_ok=True)
    try:
        with temporary.open("w+b") as file:

            def place(index: int, image: Pixels) -> None:
                # Not through a mapping: there, a full disk would be a SIGBUS.
                content, offset = image.tobytes(), index * listing.image_bytes
                if os.pwrite(file.fileno(), content, offset) < len(content):
                    os.posix_fallocate(file.fileno(), offset, len(content))  # This raises the OSError with the reason.

            listing.decode(place, progress)
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)
    write_durably(path.with_suffix(".json"), json.dumps({"sha256": digest}).encode())


def open_mapped(path: Path, shape: tuple[int, ...]) -> "Tensor":
    """Open a file of uint8 pixels as a tensor of `shape` that is not to be written to; it is read as it is used."""
    import torch

    # Read-only and shared, so that it counts for no memory; nothing here writes to a set's images.
    pixels = np.memmap(path, np.uint8, "r", shape=shape)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(pixels)
