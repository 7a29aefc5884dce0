"""torch-fidelity's Inception network with seeded random weights, in a file that every side of a comparison can read."""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


class Untrained(FeatureExtractorInceptionV3):  # type: ignore[misc]  # it has no types
    """The network, which cannot be made without a file of weights, made without one."""

    def __init__(self) -> None:
        nothing = io.BytesIO()
        torch.save({}, nothing)
        nothing.seek(0)
        super().__init__("untrained", ["2048"], nothing)

    def load_state_dict(self, weights: Any) -> None:  # noqa: ANN401
        """Keep those that are there."""


def write_random_inception(folder: Path, seed: int = 0) -> tuple[Path, str]:
    """Write weights of a size that keeps activations alive (He et al. 2015); return the file and its SHA-256."""
    random, state = torch.Generator().manual_seed(seed), {}
    for name, tensor in Untrained().state_dict().items():
        spread = (2 / tensor[0].numel()) ** 0.5 if tensor.ndim > 1 else 0.0
        one = float(name.endswith(("bn.weight", "running_var")))
        state[name] = (one + spread * torch.randn(tensor.shape, generator=random)).to(tensor.dtype)
    path = folder / "inception.pth"
    torch.save(state, path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()
