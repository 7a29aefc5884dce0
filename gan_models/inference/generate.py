"""Drawing images with a bundle that generates."""

import torch
from torch import Tensor

from gan_models.images.randomness import generator_for
from gan_models.inference.bundle import Bundle
from gan_models.recipes.base import to_uint8


@torch.inference_mode()
def generate(bundle: Bundle, labels: Tensor | None, *, num_images: int, seed: int, batch_size: int = 64) -> Tensor:
    """Draw images. Each depends on (seed, its index, its label), whatever `num_images` and `batch_size` are.

    Args:
        labels: int64 [num_images]; None takes each label in turn.
        num_images: how many.
        seed: of the latents.
        batch_size: images at a time.

    Returns:
        uint8 [num_images, C, S, S] on the CPU.

    Raises:
        ValueError: this model does not generate, or labels are out of range or of another number.
    """
    if bundle.task != "generate":
        raise ValueError(f"a {bundle.recipe.name} model restores images, it does not generate any")
    labels = _labels(bundle, labels, num_images)
    latent_dim = bundle.recipe.latent_dim  # type: ignore[union-attr]
    images = []
    for start in range(0, num_images, batch_size):
        indices = range(start, min(start + batch_size, num_images))
        latents = torch.stack([torch.randn(latent_dim, generator=generator_for(seed, "latent", i)) for i in indices])
        own = None if labels is None else labels[start : start + batch_size].to(bundle.device)
        images.append(to_uint8(bundle.network(latents.to(bundle.device), own)).cpu())
    return torch.cat(images)


def _labels(bundle: Bundle, labels: Tensor | None, num_images: int) -> Tensor | None:
    num_labels = len(bundle.label_names) if bundle.recipe.conditional else 0  # type: ignore[union-attr]
    if not num_labels:
        if labels is not None:
            raise ValueError("this model was trained without labels and takes none")
        return None
    if labels is None:
        return torch.arange(num_images) % num_labels
    if labels.shape != (num_images,) or labels.min() < 0 or labels.max() >= num_labels:
        raise ValueError(f"labels should be {num_images} numbers from 0 to {num_labels - 1}")
    return labels
