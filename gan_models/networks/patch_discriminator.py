"""PatchGAN: a discriminator with one logit per patch."""

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Strided convolutions to a map of logits (Isola et al. 2017, https://arxiv.org/abs/1611.07004), spectral norm.

    Args:
        channels: of the images.
        width: channels after the first layer; doubled at each coarser one.
        num_stages: each halves the resolution.
    """

    def __init__(self, channels: int, width: int, num_stages: int = 3) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        inputs = channels
        for stage in range(num_stages):
            outputs = width * 2**stage
            convolution = spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1))
            self.stages.append(nn.Sequential(convolution, nn.LeakyReLU(0.2)))
            inputs = outputs
        self.logit = spectral_norm(nn.Conv2d(inputs, 1, 3, padding=1))

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Judge images Float [N, channels, H, W] in [-1, 1].

        Returns:
            Logits, Float [N, 1, H / 2^num_stages, W / 2^num_stages], and the features of each stage.
        """
        features: list[Tensor] = []
        hidden = images
        for stage in self.stages:
            hidden = stage(hidden)
            features.append(hidden)
        return self.logit(hidden), features
