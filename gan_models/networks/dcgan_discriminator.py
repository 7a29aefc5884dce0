"""The discriminator of DCGAN."""

import math

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class DcganDiscriminator(nn.Module):
    """The generator mirrored: strided convolutions down to 4x4, then one logit (Radford et al. 2016).

    Where there are labels, the logit gains the product of the label's embedding with the features: projection, Miyato
    & Koyama 2018, https://arxiv.org/abs/1802.05637. With `use_spectral_norm` (Miyato et al. 2018,
    https://arxiv.org/abs/1802.05957) no layer couples the images of a batch, so real and fake ones can share a pass.

    Args:
        size: of the images, a power of two, 8 or more.
        channels: of the images.
        width: channels after the first layer; doubled at each coarser one.
        num_labels: 0 for an unconditional network.
        use_spectral_norm: in place of batch norm.
    """

    def __init__(self, size: int, channels: int, width: int, num_labels: int, use_spectral_norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for stage in range(int(math.log2(size // 4))):
            outputs = width * 2**stage
            convolution = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)
            nn.init.normal_(convolution.weight, 0.0, 0.02)
            layers.append(spectral_norm(convolution) if use_spectral_norm else convolution)
            if stage > 0 and not use_spectral_norm:
                layers.append(nn.BatchNorm2d(outputs))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.logit: nn.Module = nn.Linear(inputs * 16, 1)
        self.embedding: nn.Module | None = nn.Embedding(num_labels, inputs * 16) if num_labels else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0.0, 0.02)
        if use_spectral_norm:
            self.logit = spectral_norm(self.logit)
            self.embedding = spectral_norm(self.embedding) if self.embedding is not None else None

    def forward(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Logits, Float [N], of images Float [N, channels, size, size] in [-1, 1], with int64 labels [N] or None."""
        features = self.layers(images)
        logits: Tensor = self.logit(features).squeeze(1)
        if self.embedding is not None:
            assert labels is not None, "a conditional discriminator needs labels"
            logits = logits + (self.embedding(labels) * features).sum(1)
        return logits
