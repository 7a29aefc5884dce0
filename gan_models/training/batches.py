"""Batches as a function of the step: the same ones whether or not a run was interrupted, wherever the images live."""

from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from gan_models.config import TrainConfig
from gan_models.data.image_set import TrainingData
from gan_models.images.augmentation import random_flips, random_windows
from gan_models.images.pixels import to_float
from gan_models.images.randomness import WHOLE, Random, Share, generator_for, random_for
from gan_models.recipes.base import Batch
from gan_models.recipes.memory_format import memory_format
from gan_models.training.placement import Place

PURPOSES = ("images", "targets")  # Names of random numbers; both sides of a pair have the images'.
EPOCHS = ("epoch", "target epoch")


class Batches:
    """The images of a set, as uint8, and batches of them on the device.

    Every epoch is a permutation seeded by (seed, epoch); a batch is a stretch of the epochs laid end to end, so that
    all images are seen equally often whatever the batch size. Its cost does not depend on the size of the set. Targets
    have permutations, windows and flips of their own, but for those of pairs, which have the very same as the images.

    Args:
        data: images and targets; where larger than the config's size, training takes random windows of them.
        config: of the training run.
        device: that batches are made on.
        share: of each batch, that this process takes.
        place: where the images live. Elsewhere than on the device, a thread gathers the next batch during a step.
    """

    def __init__(
        self,
        data: TrainingData,
        config: TrainConfig,
        device: torch.device,
        share: Share = WHOLE,
        place: Place = "device",
    ) -> None:
        self.config = config
        self.device = device
        self.share = share
        self._drawn_as = (0, 0) if data.is_paired else (0, 1)
        sets = [data.images] if data.targets is None else [data.images, data.targets]
        self._images = [one.images.to(device) if place == "device" else one.images for one in sets]
        self._labels = [None if one.labels is None else one.labels.to(device) for one in sets]
        self._orders: dict[tuple[int, int], Tensor] = {}
        prefetches = place == "mapped" or (place == "memory" and device.type == "cuda")
        self._thread = ThreadPoolExecutor(1, "prefetch") if prefetches else None
        self._next: tuple[int, Future[list[Tensor]]] | None = None

    def at(self, step: int) -> Batch:
        """Return this process's share of the batch of `step`, counted from 1."""
        gathered = self._gathered(step)
        parts = []
        for which, images in enumerate(gathered):
            purpose = PURPOSES[self._drawn_as[which]]
            random = random_for(self.config.seed, purpose, step, device=self.device, share=self.share)
            parts.append((self._prepared(images, random, self.config.flips), self._labels_at(which, step)))
        return Batch(*parts[0], *(parts[1] if len(parts) > 1 else (None, None)))

    def fixed(self, num: int) -> Batch:
        """Return the first `num` images, in windows that are always the same ones: for previews."""
        parts = []
        for which, images in enumerate(self._images):
            purpose = PURPOSES[self._drawn_as[which]]
            random = random_for(self.config.seed, f"fixed {purpose}", 0, device=self.device)
            labels = self._labels[which]
            first = self._prepared(images[:num], random, flips=False)
            parts.append((first, None if labels is None else labels[:num]))
        return Batch(*parts[0], *(parts[1] if len(parts) > 1 else (None, None)))

    def _gathered(self, step: int) -> list[Tensor]:
        """Return the stored images of a batch, uint8, and begin those of the next step."""
        if self._thread is None:
            return self._gather(step)
        begun, self._next = self._next, None
        ready = begun[1].result() if begun else []
        if begun is None or begun[0] != step:
            ready = self._gather(step)
        if step < self.config.steps:
            self._next = step + 1, self._thread.submit(self._gather, step + 1)
        return ready

    def _gather(self, step: int) -> list[Tensor]:
        gathered = []
        for which, images in enumerate(self._images):
            indices = self._indices(which, step)
            picked = images.index_select(0, indices.to(images.device))
            is_on_the_way = picked.device.type == "cpu" and self.device.type == "cuda"
            gathered.append(picked.pin_memory() if is_on_the_way else picked)
        return gathered

    def _labels_at(self, which: int, step: int) -> Tensor | None:
        labels = self._labels[which]
        return None if labels is None else labels[self._indices(which, step).to(self.device)]

    def _indices(self, which: int, step: int) -> Tensor:
        """Return this process's stretch of the permutations of all epochs, laid end to end."""
        num = self.config.batch_size // self.share.count
        start = (step - 1) * self.config.batch_size + self.share.index * num
        total, parts, end = len(self._images[which]), [], start + num
        while start < end:
            epoch, offset = divmod(start, total)
            parts.append(self._order(self._drawn_as[which], epoch)[offset : offset + end - start])
            start += len(parts[-1])
        return torch.cat(parts)

    def _order(self, which: int, epoch: int) -> Tensor:
        """Return the permutation of an epoch, kept while it lasts: making one takes as long as the set is large."""
        order = self._orders.get((which, epoch))
        if order is None:
            generator = generator_for(self.config.seed, EPOCHS[which], epoch)
            order = torch.randperm(len(self._images[which]), generator=generator)
            recent = {key: kept for key, kept in self._orders.items() if key[0] != which or key[1] == epoch - 1}
            self._orders = {**recent, (which, epoch): order}
        return order

    def _prepared(self, images: Tensor, random: Random, flips: bool) -> Tensor:
        """Return stored images as the config wants them, on the device."""
        images = images.to(self.device, non_blocking=True)
        if self.config.image.fit == "crop":
            images = random_windows(images, self.config.image.size, random)
        if flips:
            images = random_flips(images, random)
        return to_float(images).contiguous(memory_format=memory_format(self.config, self.device))
