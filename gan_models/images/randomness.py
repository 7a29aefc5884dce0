"""Random numbers as a function of what they are for.

No generator lives on from step to step: the one of training step 500 is made from (seed, "step", 500). A resumed run
therefore draws what an uninterrupted one would have drawn, with no state to save, and an image draws the same
whatever batch it is in.
"""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Share:
    """Which part of a batch is ours: the `index`-th of `count` equal ones. A process of several has a share each."""

    index: int = 0
    count: int = 1


WHOLE = Share()


class Random:
    """Random numbers for the images of a batch, one row per image, on one device.

    With a share of a batch, numbers are drawn for the whole of it and the own rows kept, so that what an image gets
    does not depend on how many processes there are.
    """

    def __init__(self, generator: torch.Generator, share: Share = WHOLE) -> None:
        self._generator = generator
        self._share = share

    @property
    def device(self) -> torch.device:
        """Return where the numbers are."""
        return self._generator.device

    def uniform(self, num: int, *shape: int) -> Tensor:
        """Draw Float [num, *shape] in [0, 1)."""
        total = num * self._share.count
        return self._own(torch.rand(total, *shape, generator=self._generator, device=self.device), num)

    def normal(self, num: int, *shape: int) -> Tensor:
        """Draw Float [num, *shape], standard normal."""
        total = num * self._share.count
        return self._own(torch.randn(total, *shape, generator=self._generator, device=self.device), num)

    def integers(self, num: int, end: int, *shape: int) -> Tensor:
        """Draw int64 [num, *shape] in [0, end)."""
        total = num * self._share.count
        return self._own(torch.randint(end, (total, *shape), generator=self._generator, device=self.device), num)

    def positions(self, num: int) -> range:
        """Return the places of our `num` images in the whole batch."""
        return range(self._share.index * num, (self._share.index + 1) * num)

    def _own(self, numbers: Tensor, num: int) -> Tensor:
        return numbers[self._share.index * num :][:num]


def seed_of(*parts: int | str) -> int:
    """Return a 63-bit seed for `parts`; seeds of different parts are independent."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator on `device`, seeded for `parts`."""
    return torch.Generator(device).manual_seed(seed_of(*parts))


def random_for(
    *parts: int | str,
    device: torch.device | str = "cpu",
    share: Share = WHOLE,
) -> Random:
    """Return random numbers on `device`, seeded for `parts`, for a share of a batch."""
    return Random(generator_for(*parts, device=device), share)
