"""Gradient penalties, which keep a discriminator smooth."""

import torch
from torch import Tensor


def r1_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Squared norm of the logits' gradient at real images, averaged (Mescheder et al. 2018, arXiv 1801.04406, eq. 9).

    Args:
        logits: Float [N], of `images`, computed in float32.
        images: Float [N, C, H, W] with `requires_grad`.

    Returns:
        A scalar, not yet multiplied with gamma / 2.
    """
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.square().sum(dim=(1, 2, 3)).mean()
