"""Batches as a function of the step: the same ones whether or not a run was interrupted."""

import torch
from torch import Tensor

from gan_models.config import TrainConfig
from gan_models.images.augmentation import random_flips, random_windows
from gan_models.images.image_set import TrainingData
from gan_models.images.randomness import WHOLE, Random, Share, generator_for, random_for
from gan_models.recipes.base import Batch, to_float

PURPOSES = ("images", "targets")


class Batches:
    """The images of a set, as uint8 on the device, and batches of them.

    Every epoch is a permutation seeded by (seed, epoch); a batch is a stretch of the epochs laid end to end, so that
    all images are seen equally often whatever the batch size.

    Args:
        data: images and targets; where larger than the config's size, training takes random windows of them.
        config: of the training run.
        device: that batches are made on.
        share: of each batch, that this process takes.
    """

    def __init__(
        self,
        data: TrainingData,
        config: TrainConfig,
        device: torch.device,
        share: Share = WHOLE,
    ) -> None:
        self.config = config
        self.device = device
        self.share = share
        sets = [data.images] if data.targets is None else [data.images, data.targets]
        self._images = [one.images.to(device) for one in sets]
        self._labels = [None if one.labels is None else one.labels.to(device) for one in sets]

    def at(self, step: int) -> Batch:
        """This process's share of the batch of `step`, counted from 1."""
        num = self.config.batch_size // self.share.count
        start = (step - 1) * self.config.batch_size + self.share.index * num
        parts = []
        for which, purpose in zip(range(len(self._images)), PURPOSES, strict=False):
            random = random_for(self.config.seed, purpose, step, device=self.device, share=self.share)
            parts.append(self._part(which, self._order(which, start, num), random, self.config.flips))
        return Batch(*parts[0], *(parts[1] if len(parts) > 1 else (None, None)))

    def fixed(self, num: int) -> Batch:
        """The first `num` images, in windows that are always the same ones: for previews."""
        parts = []
        for which, purpose in zip(range(len(self._images)), PURPOSES, strict=False):
            random = random_for(self.config.seed, f"fixed {purpose}", 0, device=self.device)
            parts.append(self._part(which, torch.arange(min(num, len(self._images[which]))), random, flips=False))
        return Batch(*parts[0], *(parts[1] if len(parts) > 1 else (None, None)))

    def _order(self, which: int, start: int, num: int) -> Tensor:
        """Positions `start` to `start + num` of the permutations of all epochs, laid end to end."""
        total, parts, end = len(self._images[which]), [], start + num
        purpose = ("epoch", "target epoch")[which]
        while start < end:
            epoch, offset = divmod(start, total)
            order = torch.randperm(total, generator=generator_for(self.config.seed, purpose, epoch))
            parts.append(order[offset : offset + end - start])
            start += len(parts[-1])
        return torch.cat(parts)

    def _part(self, which: int, indices: Tensor, random: Random, flips: bool) -> tuple[Tensor, Tensor | None]:
        indices = indices.to(self.device)
        images, labels = self._images[which][indices], self._labels[which]
        if self.config.image.fit == "crop":
            images = random_windows(images, self.config.image.size, random)
        if flips:
            images = random_flips(images, random)
        images = to_float(images).contiguous(memory_format=torch.channels_last)
        return images, None if labels is None else labels[indices]
