"""PatchGAN: a discriminator with one logit per patch."""

from typing import Literal

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

Norm = Literal["spectral", "instance", "none"]


class PatchDiscriminator(nn.Module):
    """Strided convolutions to a map of logits (Isola et al. 2017, https://arxiv.org/abs/1611.07004).

    Args:
        channels: of the images.
        width: channels after the first layer; doubled at each coarser one.
        num_stages: each halves the resolution.
        norm: spectral norm of all weights, or instance norm after all stages but the first, or none.
        overlapping: the paper's end, a stage that keeps the resolution and logits from 4x4 features. With three stages
            before it, each logit then sees 70x70 pixels.
    """

    def __init__(
        self, channels: int, width: int, num_stages: int = 3, norm: Norm = "spectral", *, overlapping: bool = False
    ) -> None:
        super().__init__()
        self.smallest = 4 * 2**num_stages if overlapping else 2**num_stages  # The fewest pixels a side of an image.
        self.stages = nn.ModuleList()
        inputs = channels
        for stage in range(num_stages + overlapping):
            outputs = width * 2**stage
            convolution = nn.Conv2d(inputs, outputs, 4, stride=2 if stage < num_stages else 1, padding=1)
            layers = [nn.InstanceNorm2d(outputs)] if norm == "instance" and stage else []
            self.stages.append(nn.Sequential(_normed(convolution, norm), *layers, nn.LeakyReLU(0.2)))
            inputs = outputs
        logit = nn.Conv2d(inputs, 1, 4, padding=1) if overlapping else nn.Conv2d(inputs, 1, 3, padding=1)
        self.logit = _normed(logit, norm)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Judge images Float [N, channels, H, W] in [-1, 1].

        Returns:
            Logits, Float [N, 1, H / 2^num_stages, W / 2^num_stages], 2 less a side where `overlapping`, and the
            features of each stage.
        """
        features: list[Tensor] = []
        hidden = images
        for stage in self.stages:
            hidden = stage(hidden)
            features.append(hidden)
        return self.logit(hidden), features


def _normed(convolution: nn.Conv2d, norm: Norm) -> nn.Module:
    return spectral_norm(convolution) if norm == "spectral" else convolution
