"""An extractor is data: a network, its weights, and how images are prepared for it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan_models.evaluation.errors import NonFiniteError
from gan_models.evaluation.metrics.families import metric_name
from gan_models.evaluation.stats.intervals import Array
from gan_models.images.pixels import require_uint8


@dataclass(frozen=True)
class Extractor:
    """A network in evaluation mode, and what decides its features.

    name: as in a config, such as `timm/resnet18`
    key: its part of metric names, such as `timm_resnet18`; empty for the original Inception network, whose metrics
        have names of their own
    sha256: of its weights file
    resize: how images are brought to the network: size, interpolation and normalization
    dimension: number of features
    network: takes uint8 [N, 3, H, W], returns Float [N, dimension]
    classifier: float64 [classes, dimension], what the network would multiply features with to get logits; for the
        Inception score
    library: the package that built the network, and its version
    """

    name: str
    key: str
    sha256: str
    resize: str
    dimension: int
    network: nn.Module
    device: torch.device
    classifier: Array | None = None
    library: str = ""

    def metric(self, family: str) -> str:
        """Return the name of a metric in these features: `fd_efficientnet_lite0` of the family `fd`, or `fid`."""
        return metric_name(family, self.key)

    @torch.inference_mode()
    def features(self, images: Tensor, batch_size: int = 64) -> Array:
        """Return pooled features, float64 [N, dimension], of uint8 [N, C, H, W]; gray images (C = 1) count as RGB.

        They do not depend on the batch size, but for rounding in float32.

        Raises:
            NonFiniteError: features are not finite.
            ValueError: the images are not uint8.
        """
        require_uint8(images)
        parts = []
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # a GPU gives what a CPU does
            for part in images.split(batch_size):  # type: ignore[no-untyped-call]
                pixels = part.to(self.device).expand(-1, 3, -1, -1)
                parts.append(self.network(pixels).double().cpu().numpy())
        features: Array = np.concatenate(parts)
        bad = int((~np.isfinite(features)).any(axis=1).sum())
        if bad:
            raise NonFiniteError(
                f"the features of {bad} of {len(features)} images are not finite; nothing was measured"
            )
        return features


class Prepared(nn.Module):
    """A network behind its preparation: bicubic resizing with antialiasing to a square, then normalization.

    Args:
        network: takes Float [N, 3, size, size].
        size: pixels along a side.
        mean, std: of RGB in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, size: int, mean: tuple[float, float, float], std: tuple[float, float, float]
    ) -> None:
        super().__init__()
        self.network = network
        self.size = size
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        numbers = (" ".join(f"{value:g}" for value in values) for values in (mean, std))
        self.description = f"bicubic antialias {size}, mean {next(numbers)}, std {next(numbers)}"

    def on(self, device: torch.device) -> "Prepared":
        """Return itself, moved to a device, its weights in the order of memory that convolutions are fastest in."""
        return self.to(device).to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Return features, Float [N, d], of uint8 [N, 3, H, W]."""
        pixels = images.float()
        if pixels.shape[-2:] != (self.size, self.size):
            pixels = interpolate(pixels, (self.size, self.size), mode="bicubic", antialias=True).clamp(0, 255)
        pixels = ((pixels / 255 - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        features: Tensor = self.network(pixels)
        return features
