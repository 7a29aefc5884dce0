"""Total variation, which keeps images free of speckle."""

from torch import Tensor


def total_variation(images: Tensor) -> Tensor:
    """Return the mean absolute difference of neighboring pixels (Rudin, Osher & Fatemi 1992), its anisotropic form.

    Args:
        images: Float [N, C, H, W], H and W of 2 or more.

    Returns:
        Float [N]: the mean over vertical neighbors plus that over horizontal ones.
    """
    vertical = (images[:, :, 1:] - images[:, :, :-1]).abs().mean(dim=(1, 2, 3))
    horizontal = (images[:, :, :, 1:] - images[:, :, :, :-1]).abs().mean(dim=(1, 2, 3))
    return vertical + horizontal
