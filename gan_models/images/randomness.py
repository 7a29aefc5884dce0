"""Random numbers as a function of what they are for.

No generator lives on from step to step: the one of training step 500 is made from (seed, "step", 500). A resumed run
therefore draws what an uninterrupted one would have drawn, with no state to save, and an image draws the same
whatever batch it is in.
"""

import hashlib

import torch


def seed_of(*parts: int | str) -> int:
    """A 63-bit seed for `parts`; seeds of different parts are independent."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device`, seeded for `parts`."""
    return torch.Generator(device).manual_seed(seed_of(*parts))
