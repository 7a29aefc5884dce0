"""Noticing that a training run has gone wrong."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class UnhealthyError(RuntimeError):
    """Losses, gradients or weights that are not finite; the message says which, and at which step."""


class HealthMonitor:
    """Collects what steps report, on the device, and looks at it when asked: once in a while costs nothing."""

    def __init__(self) -> None:
        self._reports: list[tuple[int, list[str], Tensor]] = []

    def report(self, step: int, values: Mapping[str, Tensor]) -> None:
        """Keep the scalars that `step` returned, to be looked at later."""
        self._reports.append((step, list(values), torch.stack([value.float() for value in values.values()])))

    def check(self) -> dict[str, float]:
        """The values of the last step reported, after a look at all those since the last check.

        Raises:
            UnhealthyError: naming the first step and value that is not finite.
        """
        reports, self._reports = self._reports, []
        latest: dict[str, float] = {}
        for step, names, values in reports:
            latest = dict(zip(names, values.tolist(), strict=True))
            for name, number in latest.items():
                if not math.isfinite(number):
                    raise UnhealthyError(f"{name} is {number} at step {step}")
        return latest


def check_weights(networks: Mapping[str, nn.Module], step: int) -> None:
    """Look at the weights before they are kept.

    Raises:
        UnhealthyError: a weight or a buffer of one of the networks is not finite.
    """
    for name, network in networks.items():
        tensors = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
        if not torch.stack(torch._foreach_norm(tensors)).isfinite().all():
            raise UnhealthyError(f"weights of the {name} are not finite at step {step}")
