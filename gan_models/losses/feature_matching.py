"""Feature matching."""

from collections.abc import Sequence

import torch
from torch import Tensor


def feature_matching_loss(features: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Return the mean absolute difference of discriminator features, over layers (Wang et al. 2018, arXiv 1711.11585).

    Args:
        features: of the generator's images, one Float [N, C, H, W] per layer.
        targets: of the real images, the same shapes; no gradient flows to them.
    """
    differences = [(a - b.detach()).abs().mean() for a, b in zip(features, targets, strict=True)]
    return torch.stack(differences).mean()
