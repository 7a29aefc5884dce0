"""The discriminator of DCGAN."""

import math

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class DcganDiscriminator(nn.Module):
    """The generator mirrored: strided convolutions down to 4x4, then one logit (Radford et al. 2016).

    Where there are labels, the logit gains the product of the label's embedding with the features: projection, Miyato
    & Koyama 2018, https://arxiv.org/abs/1802.05637.

    Args:
        size: of the images, a power of two, 8 or more.
        channels: of the images.
        width: channels after the first layer; doubled at each coarser one.
        num_labels: 0 for an unconditional network.
        norm: "batch" as in DCGAN, "spectral" (Miyato et al. 2018, https://arxiv.org/abs/1802.05957) or "none".
    """

    def __init__(self, size: int, channels: int, width: int, num_labels: int, norm: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for stage in range(int(math.log2(size // 4))):
            outputs = width * 2**stage
            convolution = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)
            # With no norm behind it to set the scale, DCGAN's N(0, 0.02) would let the signal die out.
            nn.init.kaiming_normal_(convolution.weight, 0.2)
            layers.append(spectral_norm(convolution) if norm == "spectral" else convolution)
            if norm == "batch" and stage > 0:
                layers.append(nn.BatchNorm2d(outputs))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.Flatten())
        logit = nn.Linear(inputs * 16, 1)
        nn.init.normal_(logit.weight, 0.0, 0.02)
        self.logit: nn.Module = logit
        embedding = nn.Embedding(num_labels, inputs * 16) if num_labels else None
        if embedding is not None:
            nn.init.normal_(embedding.weight, 0.0, 0.02)
        self.embedding: nn.Module | None = embedding
        if norm == "spectral":
            self.logit = spectral_norm(self.logit)
            self.embedding = spectral_norm(self.embedding) if self.embedding is not None else None

    def forward(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Return logits, Float [N], of images Float [N, channels, size, size] in [-1, 1], labels int64 [N] or None."""
        features = self.layers(images)
        logits: Tensor = self.logit(features).squeeze(1)
        if self.embedding is not None:
            assert labels is not None, "a conditional discriminator needs labels"
            logits = logits + (self.embedding(labels) * features).sum(1)
        return logits
