"""What the two networks of R3GAN are made of (Huang et al. 2024, https://arxiv.org/abs/2501.05441, section 4)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

SLOPE = 0.2  # The slope of LeakyReLU.
COARSEST = 4  # Pixels a side of the generator's basis and of the discriminator's last stage.


def stage_widths(size: int, width: int, finest_width: int) -> list[int]:
    """Return the channels at 4x4, 8x8, ... `size`: `finest_width` there, doubled at each coarser one up to `width`."""
    num_stages = int(math.log2(size // COARSEST)) + 1
    return [min(width, finest_width * 2**stage) for stage in reversed(range(num_stages))]


def initialize(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    """Draw weights from N(0, gain² / fan_in), and set the bias to zero."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class ResidualBlock(nn.Module):
    """x + W3(act(W2(act(W1 x)))): 1x1 to twice the width, 3x3, 1x1 back; no normalization anywhere.

    The last layer starts at zero, and the others the lower the more blocks there are, so that with no normalization
    the signal keeps its size in any depth (Zhang et al. 2019, https://arxiv.org/abs/1901.09321).

    Args:
        width: channels in and out.
        num_blocks: in the whole network.
        group_width: channels per group of the 3x3 convolution, 16 in the paper; None for a plain one.
    """

    def __init__(self, width: int, num_blocks: int, group_width: int | None) -> None:
        super().__init__()
        inner = 2 * width
        self.expand = nn.Conv2d(width, inner, 1)
        self.spatial = nn.Conv2d(inner, inner, 3, padding=1, groups=inner // group_width if group_width else 1)
        self.project = nn.Conv2d(inner, width, 1, bias=False)
        gain = math.sqrt(2 / (1 + SLOPE**2)) * num_blocks**-0.25
        initialize(self.expand, gain)
        initialize(self.spatial, gain)
        nn.init.zeros_(self.project.weight)
        self.activation = nn.LeakyReLU(SLOPE, inplace=True)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map Float [N, width, H, W] to the same."""
        branch = self.activation(self.spatial(self.activation(self.expand(hidden))))
        output: Tensor = hidden + self.project(branch)
        return output


class Resample(nn.Module):
    """Half or twice the height and width by the bilinear filter [1, 2, 1], and a 1x1 convolution for another width.

    The convolution comes first where that is cheaper: it mixes channels and the filter does not, so they commute.
    """

    def __init__(self, inputs: int, outputs: int, is_up: bool) -> None:
        super().__init__()
        self.is_up = is_up
        self.mix: nn.Module = nn.Identity()
        if inputs != outputs:
            self.mix = nn.Conv2d(inputs, outputs, 1, bias=False)
            initialize(self.mix)
        line = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("filter", torch.outer(line, line)[None, None], persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map Float [N, inputs, H, W] to [N, outputs, 2H, 2W] or [N, outputs, H / 2, W / 2]."""
        mixed: Tensor
        if self.is_up:
            mixed = self.mix(hidden)
            weights = 4 * self._weights(mixed)
            # One more row and column, repeated: beyond the border is what lies at it, not black.
            padded = pad(mixed, (0, 1, 0, 1), mode="replicate")
            grown = conv_transpose2d(padded, weights, stride=2, padding=1, groups=mixed.shape[1])
            return grown[..., :-1, :-1]
        weights = self._weights(hidden)
        mixed = self.mix(conv2d(hidden, weights, stride=2, padding=1, groups=hidden.shape[1]))
        return mixed

    def _weights(self, hidden: Tensor) -> Tensor:
        kernel: Tensor = self.filter  # type: ignore[assignment]
        return kernel.to(hidden.dtype).expand(hidden.shape[1], 1, 3, 3)


def residual_stages(widths: Sequence[int], blocks: int, group_width: int | None, *, is_up: bool) -> list[nn.Module]:
    """Return residual blocks at each of `widths`, and between two of them what doubles or halves height and width.

    Args:
        blocks: at each width.
        group_width: see `ResidualBlock`.
        is_up: whether the sides double.
    """
    layers: list[nn.Module] = []
    for stage, own in enumerate(widths):
        if stage:
            layers.append(Resample(widths[stage - 1], own, is_up=is_up))
        layers += [ResidualBlock(own, blocks * len(widths), group_width) for _ in range(blocks)]
    return layers
