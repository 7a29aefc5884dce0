"""The network whose features distances are measured in, by the name in a config."""

from dataclasses import replace

import torch

from gan_models.config import ExtractorConfig
from gan_models.config.evaluate import library_version
from gan_models.evaluation.features.base import Extractor


def load_extractor(config: ExtractorConfig, device: torch.device | str = "cpu") -> Extractor:
    """Return the extractor of a config, in evaluation mode.

    Raises:
        EvaluationError: its weights are missing or not what they should be, or there is no such network.
    """
    # Each family takes its library with it, some of them seconds to import.
    if config.name == "efficientnet_lite0":
        from gan_models.evaluation.features.efficientnet_lite0 import load
    elif config.name == "inception":
        from gan_models.evaluation.features.inception import load
    else:
        from gan_models.evaluation.features.libraries import load
    return replace(load(config, torch.device(device)), library=library_version(config.name))


__all__ = ["Extractor", "load_extractor"]
