"""Perceptual losses: images compared in the features of a network that was trained to recognize things."""

from collections.abc import Sequence

import torch
from torch import Tensor

EPSILON = 1e-6  # The features of flat images may all be zero.
NORMALIZED_EPSILON = 1e-5


def perceptual_loss(features: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Return the mean squared difference of features (Johnson et al. 2016, https://arxiv.org/abs/1603.08155, eq. 2).

    Each stage's is divided by the mean square of the target's features, image by image: stages whose features are
    large would otherwise be all that counts.

    Args:
        features: of the generator's images, one Float [N, C, H, W] per stage.
        targets: of the real images, the same shapes; no gradient flows to them.

    Returns:
        A scalar, the mean over images and stages.
    """
    stages = []
    for own, wanted in zip(features, targets, strict=True):
        wanted = wanted.detach()
        scale = wanted.square().mean(dim=(1, 2, 3)) + EPSILON
        stages.append(((own - wanted).square().mean(dim=(1, 2, 3)) / scale).mean())
    return torch.stack(stages).mean()


def content_loss(features: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared difference of one stage's features, each with mean 0 and deviation 1 over its channel.

    It is the loss to the output of AdaIN (Huang & Belongie 2017, https://arxiv.org/abs/1703.06868, eq. 12) with the
    style taken out of both sides, so that it speaks of where things are and not of how they are painted.

    Args:
        features: of the generator's images, Float [N, C, H, W].
        targets: of the content images, the same shape; no gradient flows to them.

    Returns:
        Float [N].
    """
    return (_normalized(features) - _normalized(targets.detach())).square().mean(dim=(1, 2, 3))


def _normalized(features: Tensor) -> Tensor:
    centered = features - features.mean(dim=(2, 3), keepdim=True)
    return centered / (centered.square().mean(dim=(2, 3), keepdim=True) + NORMALIZED_EPSILON).sqrt()
