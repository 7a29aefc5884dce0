"""The network of FID, KID and the Inception score: torch-fidelity's, with the weights TensorFlow published in 2015."""

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from gan_models.config import ExtractorConfig
from gan_models.config.evaluate import INCEPTION_SHA256
from gan_models.evaluation.errors import EvaluationError
from gan_models.evaluation.features.base import Extractor
from gan_models.evaluation.features.weights import parse_weights, read_weights, refuse_other_digest
from gan_models.text import one_line

SHA256 = INCEPTION_SHA256
DIMENSION = 2048
SECONDS = 30.0  # without an answer, before a machine counts as offline


class Inception(nn.Module):
    """torch-fidelity's network, which resizes as TensorFlow 1 did and normalizes on its own.

    Args:
        weights: a state dict of its own names.

    Raises:
        RuntimeError: they are of another network.
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        # torch-fidelity unpickles whatever its file holds, so it is handed one with nothing but these tensors.
        checked = io.BytesIO()
        torch.save(weights, checked)
        checked.seek(0)
        self.network = FeatureExtractorInceptionV3("inception", [str(DIMENSION)], checked)

    def forward(self, images: Tensor) -> Tensor:
        """Return features, float32 [N, 2048], of uint8 [N, 3, H, W]."""
        features: Tensor = self.network(images)[0]
        return features


def load(config: ExtractorConfig, device: torch.device) -> Extractor:
    """Return it with the weights of the config's file, or of the one that torch.hub keeps, downloaded if need be.

    Only the original weights make FID, KID and the Inception score. Others are taken where the config states their
    SHA-256, and their metrics carry its first eight digits.

    Raises:
        EvaluationError: the weights are missing, are not those, or are of another network.
    """
    path = config.weights or _kept()
    content, digest = read_weights(path)
    refuse_other_digest(digest, config.sha256, path)
    if digest != SHA256 and config.sha256 is None:
        raise EvaluationError(
            f"evaluate.extractor: {path} does not hold the original Inception weights, its SHA-256 is {digest}; get "
            f"them from {URL_INCEPTION_V3}, or state this sha256 to measure under another name than FID"
        )
    try:
        network = Inception(parse_weights(content, path))
    except RuntimeError as error:
        raise EvaluationError(f"{path} cannot be used as the weights of Inception: {one_line(error, 200)}") from None
    return Extractor(
        name=config.name,
        key="" if digest == SHA256 else f"inception_{digest[:8]}",
        sha256=digest,
        resize="TensorFlow 1 bilinear 299, (x - 128) / 128",
        dimension=DIMENSION,
        network=network.to(device).to(memory_format=torch.channels_last),  # a third faster on a CPU
        device=device,
        # Salimans et al. left out the bias, and so does everyone since.
        classifier=network.network.fc.weight.double().numpy(),
    )


def _kept() -> Path:
    """Return the file that torch.hub keeps.

    Raises:
        EvaluationError: it is not there and cannot be downloaded, or is not what it should be.
    """
    path = Path(torch.hub.get_dir(), "checkpoints", str(URL_INCEPTION_V3).rpartition("/")[2])
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _giving_up_after(SECONDS):
            torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), hash_prefix=SHA256, progress=False)
    except (OSError, RuntimeError) as error:
        raise EvaluationError(
            f"evaluate.extractor: inception needs its weights, and they cannot be downloaded ({one_line(error)}); put "
            f"{URL_INCEPTION_V3} at {path} or name its place as extractor.weights, or use efficientnet_lite0"
        ) from None
    return path


@contextmanager
def _giving_up_after(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)  # torch.hub waits forever
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
