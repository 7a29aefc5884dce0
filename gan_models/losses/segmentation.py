"""Losses over a class for each pixel, which leave out pixels of which nothing is said."""

import torch
from torch import Tensor

TOLD = 0.9  # least probability of the right class in the maps that a discriminator takes for real


def cross_entropy(logits: Tensor, maps: Tensor, num_known: Tensor) -> Tensor:
    """Return the mean over known pixels of the negative log-probability of the right class; 0 where none is known.

    Args:
        logits: Float [N, K, H, W].
        maps: Float [N, K, H, W], 1 for the right class of a pixel, all 0 where it is not known.
        num_known: how many pixels are known, a scalar; over several processes the mean, so that every pixel of a batch
            weighs the same wherever it is.
    """
    return -(logits.log_softmax(dim=1) * maps).sum() / num_known.clamp(min=1)


def softened(maps: Tensor, probabilities: Tensor) -> Tensor:
    """Return the right classes as probabilities that a discriminator cannot tell from others by being 0 and 1.

    The right class has 0.9 or what it was given, if that is more, and the others share the rest as they were given
    theirs (Luc et al. 2016, arXiv 1611.08408, section 3, "scaling").

    Args:
        maps: Float [N, K, H, W] of zeros and ones, all 0 where a pixel is not known; so it stays there.
        probabilities: Float [N, K, H, W] that were given to the classes.
    """
    given = (probabilities * maps).sum(dim=1, keepdim=True)
    right = given.clamp(min=TOLD)
    others = probabilities * (1 - right) / (1 - given).clamp(min=torch.finfo(given.dtype).eps)
    known = maps.sum(dim=1, keepdim=True)
    return torch.where(maps > 0, right, others) * known
