"""Any network for classification of torchvision or timm, by name, with a file of weights."""

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from gan_models.config import ExtractorConfig
from gan_models.evaluation.errors import EvaluationError
from gan_models.evaluation.features.base import Extractor, Prepared
from gan_models.evaluation.features.weights import parse_weights, read_weights, refuse_other_digest
from gan_models.networks.feature_network import MEAN, STD
from gan_models.text import nearest, one_line

SIZE = 224


def load(config: ExtractorConfig, device: torch.device) -> Extractor:
    """Return the network up to its classifier. Nothing is ever downloaded.

    Raises:
        EvaluationError: the library has no such network, its features are no vectors, or the weights do not fit it.
    """
    library, _, name = config.name.partition("/")
    path = cast(Path, config.weights)
    content, digest = read_weights(path)
    refuse_other_digest(digest, config.sha256, path)
    weights = parse_weights(content, path)
    network, classifier = _torchvision(name) if library == "torchvision" else _timm(name)
    weights = {key: value for key, value in weights.items() if not key.startswith(f"{classifier}.")}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = one_line(error, 200)
        raise EvaluationError(f"{path} cannot be used as the weights of {config.name}: {reason}") from None
    facts = getattr(network, "pretrained_cfg", {})  # timm's
    size = config.size or facts.get("input_size", (3, SIZE, SIZE))[-1]
    prepared = Prepared(network.eval().requires_grad_(False), size, facts.get("mean", MEAN), facts.get("std", STD)).on(
        device
    )
    dimension = _dimension(config.name, prepared, device)
    return Extractor(config.name, config.key, digest, prepared.description, dimension, prepared, device)


def _torchvision(name: str) -> tuple[nn.Module, str]:
    """Return a network without its last linear layer, and that layer's name."""
    from torchvision import models

    _refuse_unknown("torchvision", name, models.list_models(module=models))
    network: Any = models.get_model(name, weights=None)
    layers = [key for key, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    if not layers or name.startswith("squeezenet"):
        raise EvaluationError(f"evaluate.extractor: torchvision/{name} has no linear classifier to take features from")
    network.set_submodule(layers[-1], nn.Identity())
    if hasattr(network, "transform_input"):
        network.transform_input = True  # as torchvision does with its own weights, which came from TensorFlow
    return network, layers[-1]


def _timm(name: str) -> tuple[nn.Module, str]:
    import timm

    _refuse_unknown("timm", name, timm.list_models())
    network: Any = timm.create_model(name, pretrained=False, num_classes=0)
    return network, str(network.pretrained_cfg.get("classifier", "classifier"))


def _refuse_unknown(library: str, name: str, known: list[str]) -> None:
    if name in known:
        return
    near = nearest(name, known)
    hint = f", did you mean '{library}/{near}'?" if near else ""
    raise EvaluationError(f"evaluate.extractor: {library} has no network for classification named '{name}'{hint}")


@torch.inference_mode()
def _dimension(name: str, network: nn.Module, device: torch.device) -> int:
    try:
        features: Tensor = network(torch.zeros(1, 3, 32, 32, dtype=torch.uint8, device=device))
    except (RuntimeError, AssertionError, ValueError) as error:  # a size that the network does not take
        reason = one_line(error, 200)
        raise EvaluationError(f"evaluate.extractor: {name} cannot see images of this size: {reason}") from None
    if features.ndim != 2:
        raise EvaluationError(f"evaluate.extractor: {name} gives features of shape {list(features.shape)}, no vectors")
    return features.shape[1]
