"""A PatchGAN that is given the style which an image should be in."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import leaky_relu


class StyleDiscriminator(nn.Module):
    """Strided convolutions to a map of logits (Isola et al. 2017, https://arxiv.org/abs/1611.07004), one per patch.

    The style enters by projection (Miyato & Koyama 2018, https://arxiv.org/abs/1802.05637). There is no
    normalization: the R1 penalty keeps it smooth.

    Args:
        channels: of the images.
        width: channels after the first layer; doubled at each coarser one.
        num_styles: that it distinguishes.
        num_stages: each halves the resolution.
    """

    def __init__(self, channels: int, width: int, num_styles: int, num_stages: int = 3) -> None:
        super().__init__()
        widths = [channels, *(width * 2**stage for stage in range(num_stages))]
        self.stages = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 4, stride=2, padding=1) for inputs, outputs in pairwise(widths)
        )
        self.logit = nn.Conv2d(widths[-1], 1, 3, padding=1)
        self.styles = nn.Embedding(num_styles, widths[-1])
        nn.init.normal_(self.styles.weight, std=widths[-1] ** -0.5)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Judge images Float [N, channels, H, W] in [-1, 1] as of the styles int64 [N].

        Returns:
            Logits, Float [N, 1, H / 2^num_stages, W / 2^num_stages].
        """
        hidden = images
        for stage in self.stages:
            hidden = leaky_relu(stage(hidden), 0.2)
        logits: Tensor = self.logit(hidden) + (hidden * self.styles(labels)[:, :, None, None]).sum(1, keepdim=True)
        return logits
