"""How much of what is where an image keeps when it is repainted, and that together with how well it is painted."""

import torch
from torch import Tensor

from gan_models.evaluation.stats.intervals import Array, Estimate
from gan_models.images.pixels import require_uint8, to_float
from gan_models.losses.perceptual import content_loss
from gan_models.networks.feature_network import FeatureNetwork

STAGE = 2  # of four: 8 pixels a step, where content is held on to in training too


@torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
@torch.inference_mode()
def content_distance(images: Tensor, originals: Tensor, network: FeatureNetwork, batch_size: int = 64) -> Array:
    """Return `content_loss` of a middle stage, per image: 0 for the same content, about 2 for another image's.

    Args:
        images, originals: uint8 [N, C, H, W].
        network: whose features are compared.
        batch_size: images at a time.

    Returns:
        float64 [N].

    Raises:
        ValueError: the images are not uint8.
    """
    require_uint8(images, originals)
    device, parts = network.mean.device, []
    for start in range(0, len(images), batch_size):
        pair = (x[start : start + batch_size].to(device) for x in (images, originals))
        one, other = (network(to_float(part), STAGE + 1)[STAGE] for part in pair)
        parts.append(content_loss(one, other).double().cpu())
    values: Array = torch.cat(parts).numpy()
    return values


def art_distance(content: Estimate, frechet: Estimate) -> Estimate:
    """Return (1 + content distance)(1 + Fréchet distance to the paintings), the form of ArtFID (Wright & Ommer 2022).

    https://arxiv.org/abs/2207.12280, eq. 4, with other features than there. Both are over the same N images.
    """
    value = (1 + content.value) * (1 + frechet.value)
    return Estimate(value, (1 + frechet.value) * content.influence + (1 + content.value) * frechet.influence)
