"""Files of weights: their digest is taken first, and nothing in them is ever executed."""

import hashlib
import io
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from gan_models.evaluation.errors import EvaluationError
from gan_models.text import one_line


def read_weights(path: Path) -> tuple[bytes, str]:
    """Return the content of a file, and its SHA-256.

    Raises:
        EvaluationError: there is no such file, or it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EvaluationError(f"evaluate.extractor: the weights {path} cannot be read: {error.strerror}") from None
    return content, hashlib.sha256(content).hexdigest()


def parse_weights(content: bytes, path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file of PyTorch, or of safetensors, by name.

    Raises:
        EvaluationError: it is damaged, or holds something else than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load(content)
        weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged archive raises
        raise EvaluationError(f"{path} cannot be read as weights: {one_line(error, 200)}") from None
    weights = weights.get("state_dict", weights) if isinstance(weights, dict) else weights
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise EvaluationError(f"{path} cannot be read as weights: it does not hold tensors by name")
    return weights


def refuse_other_digest(found: str, wanted: str | None, path: Path) -> None:
    """Refuse a file whose SHA-256 is not the one of the config.

    Raises:
        EvaluationError: it differs.
    """
    if wanted is not None and found != wanted:
        raise EvaluationError(
            f"evaluate.extractor: the SHA-256 of {path} is {found}, and the config says {wanted}; one of them is wrong"
        )
