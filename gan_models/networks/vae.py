"""A convolutional variational autoencoder."""

import math

import torch
from torch import Tensor, nn

from gan_models.networks.dcgan_generator import DcganGenerator

LOG_VARIANCE_RANGE = (-12.0, 6.0)  # It keeps exp() finite on images unlike any in training.


class Vae(nn.Module):
    """An encoder of strided convolutions and a decoder that draws (Kingma & Welling 2013, arXiv 1312.6114).

    The decoder is the generator of DCGAN with nearest upsampling; alone, it is `forward`. Where there are labels, both
    halves are given an embedding of the label, so that the latent needs to hold only what the label does not say.

    Args:
        size: of the images, a power of two, 8 or more.
        channels: of the images.
        width: channels at the finest resolution; doubled at each coarser one.
        latent_dim: of z ~ N(0, I).
        num_labels: 0 for an unconditional network.
    """

    def __init__(self, size: int, channels: int, width: int, latent_dim: int, num_labels: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.num_labels = num_labels
        self.decoder = DcganGenerator(size, channels, width, latent_dim, num_labels, upsample="nearest")
        if self.decoder.embedding is not None:
            # No discriminator makes a small label heard here: it has to tell more than the latent does.
            nn.init.normal_(self.decoder.embedding.weight)
        layers: list[nn.Module] = []
        inputs = channels
        for stage in range(int(math.log2(size // 4))):
            outputs = width * 2**stage
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs)]
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = outputs
        self.encoder = nn.Sequential(*layers, nn.Flatten())
        self.embedding = nn.Embedding(num_labels, latent_dim) if num_labels else None
        self.posterior = nn.Linear(inputs * 16 + (latent_dim if num_labels else 0), 2 * latent_dim)
        # Logarithm of the standard deviation of a pixel about what is decoded, on the scale of [-1, 1].
        self.log_deviation = nn.Parameter(torch.tensor(-1.0))

    def forward(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Decode latents Float [N, latent_dim], labels int64 [N] or None, to Float [N, C, size, size] in [-1, 1]."""
        images: Tensor = self.decoder(latents, labels)
        return images

    def encode(self, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the latents' mean and log variance, Float [N, latent_dim], of images [N, C, size, size] in [-1, 1]."""
        features = self.encoder(images)
        if self.embedding is not None:
            assert labels is not None, "a conditional encoder needs labels"
            features = torch.cat([features, self.embedding(labels)], dim=1)
        mean, log_variance = self.posterior(features).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)
