"""Style losses: images compared by statistics of their features, wherever in the image these are."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-5  # It is added to variances, as the square root of 0 has no gradient.


class Statistics(NamedTuple):
    """Mean and standard deviation over the pixels of one stage's features, each Float [N, C]."""

    mean: Tensor
    deviation: Tensor


def statistics_of(features: Tensor) -> Statistics:
    """Return the statistics of features Float [N, C, H, W]."""
    mean = features.mean(dim=(2, 3), keepdim=True)
    variance = (features - mean).square().mean(dim=(2, 3))  # torch.var_mean is slower on a CPU with channels last.
    return Statistics(mean.flatten(1), (variance + EPSILON).sqrt())


def style_loss(statistics: Sequence[Statistics], targets: Sequence[Statistics]) -> Tensor:
    """Return squared differences of means and deviations (Huang & Belongie 2017, arXiv 1703.06868, eq. 13).

    Each stage's is divided by the target's own mean² + deviation², summed over channels: stages differ in the scale of
    their features by orders of magnitude, and unnormalized, one of them would be all that counts.

    Args:
        statistics: of the generator's images, one per stage.
        targets: of the style images, as many of the same shapes; no gradient flows to them.

    Returns:
        Float [N], the mean over stages.
    """
    stages = []
    for own, wanted in zip(statistics, targets, strict=True):
        mean, deviation = wanted.mean.detach(), wanted.deviation.detach()
        error = (own.mean - mean).square().sum(1) + (own.deviation - deviation).square().sum(1)
        stages.append(error / (mean.square() + deviation.square()).sum(1))
    return torch.stack(stages).mean(0)
