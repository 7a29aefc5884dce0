"""Batches as a function of the step: the same ones whether or not a run was interrupted."""

import torch

from gan_models.config import TrainConfig
from gan_models.images.augmentation import random_flips, random_windows
from gan_models.images.image_set import ImageSet
from gan_models.images.randomness import generator_for
from gan_models.recipes.base import Batch, to_float


class Batches:
    """The images of a set, as uint8 on the device, and batches of them.

    Every epoch is a permutation seeded by (seed, epoch); a batch is a stretch of the epochs laid end to end, so that
    all images are seen equally often whatever the batch size.

    Args:
        images: where larger than the config's size, training takes random windows of them.
        config: of the training run.
        device: that batches are made on.
    """

    def __init__(self, images: ImageSet, config: TrainConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.images = images.images.to(device)
        self.labels = None if images.labels is None else images.labels.to(device)

    def at(self, step: int) -> Batch:
        """The batch of `step`, counted from 1."""
        size = self.config.batch_size
        return self._batch(self._order((step - 1) * size, size), "images", step)

    def fixed(self, num: int) -> Batch:
        """The first `num` images, in windows that are always the same ones: for previews."""
        return self._batch(torch.arange(min(num, len(self.images))), "fixed images", 0, flips=False)

    def _order(self, start: int, num: int) -> torch.Tensor:
        """Positions `start` to `start + num` of the permutations of all epochs, laid end to end."""
        total, parts, end = len(self.images), [], start + num
        while start < end:
            epoch, offset = divmod(start, total)
            order = torch.randperm(total, generator=generator_for(self.config.seed, "epoch", epoch))
            parts.append(order[offset : offset + end - start])
            start += len(parts[-1])
        return torch.cat(parts)

    def _batch(self, indices: torch.Tensor, purpose: str, step: int, flips: bool = True) -> Batch:
        random = generator_for(self.config.seed, purpose, step, device=self.device)
        indices = indices.to(self.device)
        images = self.images[indices]
        if self.config.image.fit == "crop":
            images = random_windows(images, self.config.image.size, random)
        if flips and self.config.flips:
            images = random_flips(images, random)
        images = to_float(images).contiguous(memory_format=torch.channels_last)
        return Batch(images, None if self.labels is None else self.labels[indices])
