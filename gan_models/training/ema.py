"""Exponential moving average of a network's weights."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

WARM_UP = 0.05  # The half-life is at most this share of the images seen so far, as in StyleGAN2.


class ExponentialMovingAverage:
    """A copy of a network, in evaluation mode, whose weights follow those of the original.

    Args:
        network: the network to follow.
        half_life_images: images after which half of a weight's past is forgotten; 0 follows at once.
    """

    def __init__(self, network: nn.Module, half_life_images: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.half_life_images = half_life_images

    @torch.no_grad()
    def update(self, network: nn.Module, num_images_seen: int, batch_size: int) -> None:
        """Follow `network` after a batch. Batch norm's statistics are averaged like weights, its counters copied."""
        half_life = min(self.half_life_images, WARM_UP * num_images_seen)
        keep = 0.5 ** (batch_size / half_life) if half_life > 0 else 0.0
        averages, currents = _tensors(self.network), _tensors(network)
        pairs = [(a, c) for a, c in zip(averages, currents, strict=True) if a.is_floating_point()]
        torch._foreach_lerp_([a for a, _ in pairs], [c for _, c in pairs], 1 - keep)
        for average, current in zip(averages, currents, strict=True):
            if not average.is_floating_point():
                average.copy_(current)

    def state_dict(self) -> dict[str, Any]:
        """Return weights and buffers of the copy."""
        return self.network.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo `state_dict`."""
        self.network.load_state_dict(state)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*(p.detach() for p in network.parameters()), *network.buffers()]
