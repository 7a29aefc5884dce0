"""How different two images look to a network that recognizes things: the distance of Zhang et al. 2018."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_models.evaluation.errors import NonFiniteError
from gan_models.evaluation.stats.intervals import Array
from gan_models.images.pixels import require_uint8, to_float
from gan_models.networks.feature_network import FeatureNetwork

EPSILON = 1e-10  # against places where no feature responds


@torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
@torch.inference_mode()
def feature_distances(
    sets: Sequence[Tensor], originals: Tensor, network: FeatureNetwork, batch_size: int = 64
) -> list[Array]:
    """Return the distance of each image to its original, for several sets of images of the same originals.

    Features of each place are scaled to length one; their squared difference, averaged over places and then over the
    four stages, lies in [0, 4]. It is LPIPS (https://arxiv.org/abs/1801.03924, eq. 1) in another network and without
    its learned weights, which are the only ones that need a network of its own: all channels count alike.

    Args:
        sets: each uint8 [N, C, H, W], whose features are computed once, as are those of the originals.
        originals: uint8 [N, C, H, W].
        network: whose features are compared, at the images' own size.
        batch_size: images at a time.

    Returns:
        A float64 [N] for each set.

    Raises:
        NonFiniteError: features are not finite.
        ValueError: the images are not uint8.
    """
    require_uint8(originals, *sets)
    parts: list[list[Tensor]] = [[] for _ in sets]
    for start in range(0, len(originals), batch_size):
        wanted = _directions(originals[start : start + batch_size], network)
        for found, images in zip(parts, sets, strict=True):
            own = _directions(images[start : start + batch_size], network)
            stages = [(x - y).square().sum(dim=1).mean(dim=(1, 2)) for x, y in zip(own, wanted, strict=True)]
            found.append(torch.stack(stages).double().mean(dim=0).cpu())
    distances: list[Array] = [torch.cat(found).numpy() for found in parts]
    for values in distances:
        bad = int((values != values).sum())
        if bad:
            raise NonFiniteError(f"the features of {bad} of {len(values)} images are not finite; nothing was measured")
    return distances


def _directions(images: Tensor, network: FeatureNetwork) -> list[Tensor]:
    """Return each stage's features with length one at each place, Float [N, channels, h, w]."""
    stages = network(to_float(images.to(network.mean.device)))
    return [stage / (stage.square().sum(dim=1, keepdim=True) + EPSILON).sqrt() for stage in stages]
