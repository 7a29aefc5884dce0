"""The generator of DCGAN."""

import math
from typing import Literal

import torch
from torch import Tensor, nn


class DcganGenerator(nn.Module):
    """Latents to images by transposed convolutions (Radford et al. 2016, https://arxiv.org/abs/1511.06434).

    Where there are labels, an embedding of the label is concatenated to the latent (as in Mirza & Osindero 2014,
    https://arxiv.org/abs/1411.1784).

    Args:
        size: of the images, a power of two, 8 or more.
        channels: of the images.
        width: channels at the last stage before the image; doubled at each coarser one.
        latent_dim: of z ~ N(0, I).
        num_labels: 0 for an unconditional network.
        upsample: "transposed" as in DCGAN, or "nearest": pixels repeated and a 3x3 convolution, which leaves no
            checkerboards (Odena et al. 2016, https://distill.pub/2016/deconv-checkerboard/).
    """

    def __init__(
        self,
        size: int,
        channels: int,
        width: int,
        latent_dim: int,
        num_labels: int,
        upsample: Literal["transposed", "nearest"] = "transposed",
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.num_labels = num_labels
        self.embedding = nn.Embedding(num_labels, latent_dim) if num_labels else None
        num_upsamplings = int(math.log2(size // 4))
        widths = [width * 2**i for i in reversed(range(num_upsamplings))]
        inputs = latent_dim * (2 if num_labels else 1)
        layers: list[nn.Module] = [nn.ConvTranspose2d(inputs, widths[0], 4, bias=False)]
        for narrow, wide in zip(widths[1:], widths, strict=False):
            layers += [nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
            layers += _upsampling(wide, narrow, upsample, bias=False)
        layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        layers += [*_upsampling(width, channels, upsample, bias=True), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialize)
        if self.embedding is not None:
            # Ten times below the latent: at equal scale the label drowns it, and all images of a label become one.
            nn.init.normal_(self.embedding.weight, 0.0, 0.1)

    def forward(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Draw images.

        Args:
            latents: Float [N, latent_dim], standard normal.
            labels: int64 [N]; None for an unconditional network.

        Returns:
            Float [N, channels, size, size] in [-1, 1].
        """
        if self.embedding is not None:
            assert labels is not None, "a conditional generator needs labels"
            latents = torch.cat([latents, self.embedding(labels)], dim=1)
        images: Tensor = self.layers(latents[:, :, None, None])
        return images


def _upsampling(inputs: int, outputs: int, kind: str, bias: bool) -> list[nn.Module]:
    """Return layers that double height and width."""
    if kind == "transposed":
        return [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)]
    return [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)]


def _initialize(module: nn.Module) -> None:
    if isinstance(module, (nn.ConvTranspose2d, nn.Conv2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
