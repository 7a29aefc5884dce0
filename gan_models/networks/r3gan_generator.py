"""The generator of R3GAN."""

from typing import Literal

import torch
from torch import Tensor, nn

from gan_models.networks.r3gan_blocks import COARSEST, initialize, residual_stages, stage_widths


class R3ganGenerator(nn.Module):
    """Latents to images by residual blocks (Huang et al. 2024, https://arxiv.org/abs/2501.05441).

    A learned 4x4 basis, weighted channel by channel by a linear function of the latent, is what it starts from. Where
    there are labels, an embedding of the label is concatenated to the latent.

    Args:
        size: of the images, a power of two, 4 or more.
        channels: of the images.
        width: channels at the coarse resolutions, at most.
        finest_width: channels at the resolution of the images.
        blocks: residual blocks at each resolution.
        group_width: see `ResidualBlock`.
        latent_dim: of z ~ N(0, I).
        num_labels: 0 for an unconditional network.
        output: "linear" as in the paper, or "tanh".
    """

    def __init__(
        self,
        size: int,
        channels: int,
        width: int,
        finest_width: int,
        blocks: int,
        group_width: int | None,
        latent_dim: int,
        num_labels: int,
        output: Literal["linear", "tanh"] = "linear",
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.num_labels = num_labels
        self.embedding = nn.Embedding(num_labels, latent_dim) if num_labels else None
        if self.embedding is not None:
            # Ten times below the latent: at equal scale the label drowns it, and all images of a label become one.
            nn.init.normal_(self.embedding.weight, 0.0, 0.1)
        widths = stage_widths(size, width, finest_width)
        self.basis = nn.Parameter(torch.randn(1, widths[0], COARSEST, COARSEST))
        self.weigh = nn.Linear(latent_dim * (2 if num_labels else 1), widths[0])
        initialize(self.weigh)
        self.layers = nn.Sequential(*residual_stages(widths, blocks, group_width, is_up=True))
        to_image = nn.Conv2d(widths[-1], channels, 1)
        initialize(to_image)
        self.to_image = nn.Sequential(to_image, nn.Tanh() if output == "tanh" else nn.Identity())

    def forward(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Draw images.

        Args:
            latents: Float [N, latent_dim], standard normal.
            labels: int64 [N]; None for an unconditional network.

        Returns:
            Float [N, channels, size, size], about [-1, 1]; a linear output is not clamped.
        """
        if self.embedding is not None:
            assert labels is not None, "a conditional generator needs labels"
            latents = torch.cat([latents, self.embedding(labels)], dim=1)
        images: Tensor = self.to_image(self.layers(self.basis * self.weigh(latents)[:, :, None, None]))
        return images
