"""Frozen networks, trained to recognize things, whose features losses are measured in."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gan_models.networks.efficientnet_lite0 import (
    MissingWeightsError,
    load_efficientnet_lite0,
    untrained_efficientnet_lite0,
)
from gan_models.text import one_line

FeatureNetworkName = Literal["efficientnet_lite0", "vgg19"]

MEAN = (0.485, 0.456, 0.406)  # Those of ImageNet, for RGB in [0, 1].
STD = (0.229, 0.224, 0.225)
VGG19_WEIGHTS = "vgg19-dcbb9e9d.pth"  # This is torchvision's name for it.
VGG19_ENDS = (2, 7, 12, 21)  # After relu1_1, relu2_1, relu3_1 and relu4_1, as Huang & Belongie 2017.


class FeatureNetwork(nn.Module):
    """Four stages of a network that was trained on ImageNet. It is always in evaluation mode and never learns.

    Gradients pass through it to the images.

    Args:
        stages: each continues the one before.
        channels: of each stage's features.
        strides: pixels of the image per pixel of each stage's features, along a side.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, stages: Sequence[nn.Module], channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels, self.strides = tuple(channels), tuple(strides)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                layer.padding_mode = "replicate"  # Zeros would mark the border, and images would get a frame.
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor, num_stages: int | None = None) -> list[Tensor]:
        """Return the features of each stage, finest first.

        Args:
            images: Float [N, 3, H, W] in [-1, 1], or [N, 1, H, W], which count as RGB of equal channels.
            num_stages: so many of the stages, the first; None: all.

        Returns:
            Float [N, channels[i], ceil(H / strides[i]), ceil(W / strides[i])] for each stage i.
        """
        hidden = ((images.expand(-1, 3, -1, -1) + 1) / 2 - self.mean) / self.std
        features = []
        for stage in self.stages[:num_stages]:
            hidden = stage(hidden)
            features.append(hidden)
        return features

    def train(self, mode: bool = True) -> "FeatureNetwork":
        """Stay in evaluation mode: the statistics of batch norm are frozen too."""
        return super().train(False)


def load_feature_network(name: FeatureNetworkName, weights: Path | None = None) -> FeatureNetwork:
    """Load a pretrained feature network, on the CPU. Nothing is ever downloaded.

    Args:
        name: `efficientnet_lite0` comes with a package that Atelier depends on. `vgg19` takes torchvision's weights
            from a file.
        weights: that file; None looks where torchvision would have put it.

    Raises:
        MissingWeightsError: the weights are not there or not of this network; the message names the file.
    """
    if name == "efficientnet_lite0":
        return _efficientnet_lite0(load_efficientnet_lite0()[0])
    return _vgg19(_read_vgg19(weights or Path(torch.hub.get_dir()) / "checkpoints" / VGG19_WEIGHTS))


def untrained_feature_network(name: FeatureNetworkName) -> FeatureNetwork:
    """Return the same network, its weights yet to be loaded: what a bundle that holds them is loaded into."""
    return (
        _efficientnet_lite0(untrained_efficientnet_lite0())
        if name == "efficientnet_lite0"
        else _vgg19(_untrained_vgg19())
    )


def _efficientnet_lite0(network: Any) -> FeatureNetwork:  # noqa: ANN401
    """Return the stem, then the last blocks at 4, 8 and 16 pixels a step (timm's network ends at 32)."""
    blocks = network.blocks
    stages = [nn.Sequential(network.conv_stem, network.bn1), blocks[:2], blocks[2], blocks[3:5]]
    return FeatureNetwork(stages, (32, 24, 40, 112), (2, 4, 8, 16))


def _vgg19(layers: nn.Sequential) -> FeatureNetwork:
    starts = (0, *VGG19_ENDS[:-1])
    stages = [layers[start:end] for start, end in zip(starts, VGG19_ENDS, strict=True)]
    return FeatureNetwork(stages, (64, 128, 256, 512), (1, 2, 4, 8))


def _untrained_vgg19() -> nn.Sequential:
    """Return the layers that the stages are made of: 3.5 of the network's 143 million weights."""
    from torchvision.models import vgg19

    with torch.device("meta"):
        layers = vgg19(weights=None).features[: VGG19_ENDS[-1]]
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # It would change the features of the stage before.
    loadable: nn.Sequential = layers.to_empty(device="cpu")
    return loadable


def _read_vgg19(path: Path) -> nn.Sequential:
    layers = _untrained_vgg19()
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        layers.load_state_dict({name: weights[f"features.{name}"] for name in layers.state_dict()})
    except FileNotFoundError:
        raise MissingWeightsError(
            f"the weights of VGG19 are not on this machine: {path} is missing; put torchvision's {VGG19_WEIGHTS} "
            "there, or use efficientnet_lite0, whose weights come with a package"
        ) from None
    except Exception as error:  # A damaged archive, or one of another network, raises many kinds.
        raise MissingWeightsError(f"{path} cannot be used as the weights of VGG19: {one_line(error, 200)}") from None
    return layers
