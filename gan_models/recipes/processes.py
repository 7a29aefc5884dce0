"""Means over the processes that train together; with one process, everything stays as it is."""

from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over all processes."""
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, mean in zip(gradients, torch.split(flat, sizes), strict=True):
        gradient.copy_(mean.view_as(gradient))


def mean_over_processes(value: Tensor) -> Tensor:
    """Return the mean of a detached tensor over all processes: of what a recipe measures on its share of a batch."""
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()
