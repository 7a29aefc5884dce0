"""How images and convolutions lie in memory."""

import torch

from gan_models.config import TrainConfig


def memory_format(config: TrainConfig, device: torch.device) -> torch.memory_format:
    """Return the format that the config chooses, or else the faster one."""
    chosen = config.speed.channels_last
    if chosen == "auto":
        chosen = device.type == "cuda" or not config.recipe.instance_norm
    return torch.channels_last if chosen else torch.contiguous_format
