"""The heads of PatchNCE: features of single places of an image, as unit vectors to be compared."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_models.images.randomness import Random
from gan_models.networks.resnet_generator import initialize


class PatchProjector(nn.Module):
    """A two-layer MLP for each layer of features (Park et al. 2020, arXiv 2007.15651, section 3).

    Args:
        widths: channels of each layer.
        width: of the hidden layer and of the result.
    """

    def __init__(self, widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width)) for inputs in widths
        )
        self.apply(initialize)

    def forward(self, features: Sequence[Tensor], positions: Sequence[Tensor]) -> list[Tensor]:
        """Project the features at some places.

        Args:
            features: Float [N, C, H, W] for each layer.
            positions: int64 [N, P] in [0, H * W) for each layer.

        Returns:
            Float [N, P, width] of length 1 along the last dimension, for each layer.
        """
        projected = []
        for head, feature, position in zip(self.heads, features, positions, strict=True):
            index = position[:, None].expand(-1, feature.shape[1], -1)
            patches = feature.flatten(2).gather(2, index).transpose(1, 2)
            projected.append(nn.functional.normalize(head(patches).float(), dim=2))
        return projected


def draw_positions(features: Sequence[Tensor], num_patches: int, random: Random) -> list[Tensor]:
    """Draw different places of each image and layer, int64 [N, P], `num_patches` or as many as there are.

    Args:
        features: Float [N, C, H, W] for each layer.
        num_patches: of each image.
        random: on the device of the features.
    """
    positions = []
    for feature in features:
        num, _, height, width = feature.shape
        order = random.uniform(num, height * width)
        positions.append(torch.topk(order, min(num_patches, height * width), dim=1).indices)
    return positions
