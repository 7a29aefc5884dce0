"""LPIPS (Zhang et al. 2018, https://arxiv.org/abs/1801.03924), where AlexNet's weights are on this machine."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan_models.evaluation.errors import EvaluationError
from gan_models.evaluation.features.weights import parse_weights, read_weights
from gan_models.evaluation.stats.intervals import Array
from gan_models.images.pixels import require_uint8, to_float

BACKBONE = "alexnet-owt-7be5be79.pth"  # torchvision's name, which ends in the first digits of its SHA-256


class Lpips(NamedTuple):
    """The network, and the SHA-256 of its backbone's weights. The learned weights come with torchmetrics."""

    network: Any
    sha256: str


def load_lpips(device: torch.device | str = "cpu") -> Lpips | None:
    """Return LPIPS as usual, with AlexNet; None where torchvision has not put AlexNet's weights on this machine.

    Raises:
        EvaluationError: the file is there and is not torchvision's, or cannot be read.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / BACKBONE
    if not path.exists():
        return None
    content, digest = read_weights(path)
    prefix = Path(BACKBONE).stem.rpartition("-")[2]
    if not digest.startswith(prefix):
        raise EvaluationError(
            f"{path} is not torchvision's file: its SHA-256 begins with {digest[:8]}, not {prefix}; delete it, or "
            "download it again"
        )
    weights = parse_weights(content, path)
    from torchmetrics.functional.image.lpips import _NoTrainLpips  # seconds to import

    network = _NoTrainLpips(net="alex", pnet_rand=True)
    # torchmetrics cuts the layers into slices and keeps their numbers: slice2.3.weight is features.3.weight.
    own = network.net.state_dict()
    network.net.load_state_dict({name: weights[f"features.{name.partition('.')[2]}"] for name in own})
    return Lpips(network.eval().requires_grad_(False).to(device), digest)


@torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
@torch.inference_mode()
def lpips(images: Tensor, originals: Tensor, metric: Lpips, batch_size: int = 64) -> Array:
    """Return the distance of each image to its original.

    Args:
        images, originals: uint8 [N, C, H, W], H and W of 31 or more; gray images (C = 1) count as RGB.
        metric: from `load_lpips`.
        batch_size: images at a time.

    Returns:
        float64 [N].

    Raises:
        ValueError: the images are not uint8.
    """
    require_uint8(images, originals)
    device = next(metric.network.parameters()).device
    parts = []
    for start in range(0, len(images), batch_size):
        one, other = (
            to_float(x[start : start + batch_size].to(device)).expand(-1, 3, -1, -1) for x in (images, originals)
        )
        parts.append(metric.network(one, other).double().flatten().cpu())
    values: Array = torch.cat(parts).numpy()
    return values
