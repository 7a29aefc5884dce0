"""The device of a run and how it computes."""

import torch
from torch import nn

from gan_models.config import ConfigError, SpeedConfig, TrainConfig
from gan_models.recipes import Recipe
from gan_models.training.distributed import Processes, own_gpu


def device_for(config: TrainConfig) -> torch.device:
    """Return the device that `config` asks for; of several GPUs, the one of this process.

    Raises:
        ConfigError: it asks for a GPU and there is none.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("the config asks for a GPU and there is none; set train.device to auto or cpu")
    if config.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if own_gpu() >= torch.cuda.device_count():
        raise ConfigError(f"there are more processes than the {torch.cuda.device_count()} GPUs of this machine")
    device = torch.device("cuda", own_gpu())
    torch.cuda.set_device(device)
    return device


def prepare(device: torch.device, speed: SpeedConfig) -> None:
    """Set what holds for the whole process: on a GPU, TensorFloat-32 and the search for the fastest convolutions."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = speed.tf32
        torch.backends.cudnn.benchmark = True  # All batches are of one shape.


def share_statistics(recipe: Recipe, processes: Processes) -> None:
    """Take batch norm's statistics over the whole batch on several GPUs, as if there were one.

    PyTorch has this for GPUs alone: on CPUs, each process takes those of its share.
    """
    if processes.count > 1 and recipe.device.type == "cuda":
        for network in recipe.networks.values():
            nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]  # in place: no network is a batch norm itself
