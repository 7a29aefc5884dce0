"""Images of a dataset at a model's size, of which nothing is decoded before their pixels are asked for."""

import hashlib
import json
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_models.data.image_set import load, windows
from gan_models.data.pixel_cache import load_mapped
from gan_models.data.split_index import Listing


class RealImages:
    """The images of some listings one after the other; of images that are larger than the model's, all windows.

    label_names: the labels of the dataset; none where it has none
    labels: int64 [N] of indices into them, None where there are none
    split_digest: of the listings, whole
    digest: of what these images are: equal digests mean equal pixels

    Args:
        listings: of one dataset, for one model.
        num: so many of them at most, spread evenly.
        pixels: folder in which decoded images are kept, mapped into memory from there; None decodes them into memory.
    """

    def __init__(self, listings: tuple[Listing, ...], num: int | None = None, pixels: Path | None = None) -> None:
        self._pixels = pixels
        self._size = listings[0].image.size
        self.split_digest = "+".join(listing.digest for listing in listings)
        self.label_names = listings[0].label_names
        total = sum(self._windows_of(listing) * len(listing) for listing in listings)
        self._chosen: NDArray[np.int64] | None = None
        if num is not None and num < total:
            chosen = np.linspace(0, total - 1, num).astype(np.int64)
            if len(listings) == 1 and self._windows_of(listings[0]) == 1:
                listings = (listings[0].part(chosen),)  # what is not wanted is not decoded
            else:
                self._chosen = chosen
        self._listings = listings
        self._num = total if num is None else min(num, total)
        facts = [[listing.digest for listing in listings], None if self._chosen is None else num]
        self.digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def __len__(self) -> int:
        return self._num

    @cached_property
    def images(self) -> Tensor:
        """Uint8 [N, C, S, S]; where they are kept, not to be written to.

        Raises:
            DataError: a shard or an image is damaged.
        """
        parts = [
            load(listing) if self._pixels is None else load_mapped(listing, self._pixels) for listing in self._listings
        ]
        cut = [part.images if self._is_whole(part.images) else windows(part.images, self._size) for part in parts]
        images = cut[0] if len(cut) == 1 else torch.cat(cut)
        return images if self._chosen is None else images[self._chosen].contiguous()

    @cached_property
    def labels(self) -> NDArray[np.int64] | None:
        """Return the label of each image, int64 [N], None where the data has none."""
        if not self.label_names:
            return None
        of_images = [(listing.labels, self._windows_of(listing)) for listing in self._listings]
        labels = np.concatenate([np.repeat(labels, windows) for labels, windows in of_images if labels is not None])
        return labels if self._chosen is None else labels[self._chosen]

    def _is_whole(self, images: Tensor) -> bool:
        return images.shape[-2:] == (self._size, self._size)

    def _windows_of(self, listing: Listing) -> int:
        _, height, width = listing.shape
        return (height // self._size) * (width // self._size)
