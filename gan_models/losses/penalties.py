"""Gradient penalties, which keep a discriminator smooth."""

from collections.abc import Callable

import torch
from torch import Tensor

from gan_models.images.randomness import Random


def gradient_penalties(logits: Tensor, *images: Tensor) -> tuple[Tensor, ...]:
    """Return the squared norm of the logits' gradient, averaged over each of some sets of images, in one backward pass.

    At real images it is R1 (Mescheder et al. 2018, https://arxiv.org/abs/1801.04406, eq. 9), at fake ones R2.

    Args:
        logits: Float [N] of all images together, computed in float32.
        images: sets, Float [M, C, H, W] with `requires_grad`, that the logits were computed from.

    Returns:
        A scalar for each set, not yet multiplied with gamma / 2.
    """
    gradients = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return tuple(gradient.square().sum(dim=(1, 2, 3)).mean() for gradient in gradients)


def r1_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Return `gradient_penalties` of one set: logits Float [N] of `images` Float [N, C, H, W], to a scalar."""
    return gradient_penalties(logits, images)[0]


def wasserstein_gradient_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, random: Random
) -> Tensor:
    """Return the squared distance from 1 of the gradient's norm, between real and fake images (Gulrajani et al. 2017).

    https://arxiv.org/abs/1704.00028, eq. 3: at a point drawn uniformly on the line between the two of each pair.

    Args:
        discriminator: images Float [N, C, H, W] to logits Float [N], in float32.
        real, fake: Float [N, C, H, W].
        random: for the points.

    Returns:
        A scalar, the mean over pairs, not yet multiplied with its weight (10 in the paper).
    """
    points = torch.lerp(real.detach(), fake.detach(), random.uniform(len(real), 1, 1, 1)).requires_grad_(True)
    (gradients,) = torch.autograd.grad(discriminator(points).sum(), points, create_graph=True)
    # The root of 0 has no finite derivative, which a flat discriminator would meet.
    norms = (gradients.square().sum(dim=(1, 2, 3)) + 1e-12).sqrt()
    return (norms - 1).square().mean()
