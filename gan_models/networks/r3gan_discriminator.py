"""The discriminator of R3GAN."""

import math

from torch import Tensor, nn

from gan_models.networks.r3gan_blocks import COARSEST, initialize, residual_stages, stage_widths


class R3ganDiscriminator(nn.Module):
    """The generator mirrored: residual blocks down to 4x4, a depthwise 4x4 convolution, one logit.

    Where there are labels, the logit is the product of the label's embedding with a linear function of the features
    (projection, Miyato & Koyama 2018, https://arxiv.org/abs/1802.05637). Arguments as of `R3ganGenerator`;
    `embedding_dim` is that of the labels.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        width: int,
        finest_width: int,
        blocks: int,
        group_width: int | None,
        embedding_dim: int,
        num_labels: int,
    ) -> None:
        super().__init__()
        widths = stage_widths(size, width, finest_width)[::-1]
        self.from_image = nn.Conv2d(channels, widths[0], 1)
        initialize(self.from_image)
        stages = residual_stages(widths, blocks, group_width, is_up=False)
        basis = nn.Conv2d(widths[-1], widths[-1], COARSEST, groups=widths[-1], bias=False)
        initialize(basis)
        self.layers = nn.Sequential(*stages, basis, nn.Flatten())
        self.logit = nn.Linear(widths[-1], embedding_dim if num_labels else 1)
        initialize(self.logit)
        self.embedding = nn.Embedding(num_labels, embedding_dim) if num_labels else None

    def forward(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Return logits, Float [N], of images Float [N, channels, size, size], with int64 labels [N] or None."""
        outputs: Tensor = self.logit(self.layers(self.from_image(images)))
        if self.embedding is None:
            return outputs.squeeze(1)
        assert labels is not None, "a conditional discriminator needs labels"
        projected: Tensor = (outputs * self.embedding(labels)).sum(1) / math.sqrt(outputs.shape[1])
        return projected
