"""The ResNet generator that translates images, with instance norm and reflection padding."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, pad

WITHIN = 0.98  # A share of [-1, 1], whose ends tanh reaches at infinity.


class ResnetGenerator(nn.Module):
    """7x7 convolution, two halvings, residual blocks, two doublings (Johnson et al. 2016, Zhu et al. 2017).

    Args:
        channels: of the images.
        width: channels at the finest resolution; four times as many in the residual blocks.
        blocks: residual blocks, 9 at 256 pixels and 6 at 128.
        antialias: resample with the filter [1,2,1] (Zhang 2019, arXiv 1904.11486), as CUT does. Otherwise by strided
            and transposed convolutions, as CycleGAN does.
        residual: add what is learned to the image itself, so that an untrained network returns its input.
    """

    multiple = 4  # Height and width have to be multiples of it.

    def __init__(self, channels: int, width: int, blocks: int, *, antialias: bool, residual: bool = False) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7), *_norm_relu(width))
        self.downs = nn.ModuleList(Down(width * scale, antialias) for scale in (1, 2))
        self.blocks = nn.ModuleList(ResidualBlock(4 * width) for _ in range(blocks))
        self.ups = nn.Sequential(*(_up(width * scale, antialias) for scale in (4, 2)))
        self.last = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7))
        self.residual = residual
        # CUT's five layers: pixels, the two halvings, the first residual block and the one in the middle.
        self._tapped_blocks = (0, blocks // 2)
        self.feature_widths = (channels, 2 * width, 4 * width, 4 * width, 4 * width)
        self.apply(initialize)
        if residual:
            for parameter in self.last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, images: Tensor) -> Tensor:
        """Translate images Float [N, channels, H, W] in [-1, 1] to the same; H and W multiples of `multiple`."""
        return self.translate(images)[0]

    def translate(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Translate images, and return the features of `encode` that came about on the way too."""
        hidden, features = self._encode(images, len(self.blocks))
        drawn: Tensor = self.last(self.ups(hidden))
        if self.residual:
            drawn = drawn + torch.atanh(WITHIN * images)
        return drawn.tanh(), features

    def encode(self, images: Tensor) -> list[Tensor]:
        """Return features of images, Float [N, width, h, w] for each of `feature_widths`, and go no deeper."""
        return self._encode(images, self._tapped_blocks[1] + 1)[1]

    def _encode(self, images: Tensor, depth: int) -> tuple[Tensor, list[Tensor]]:
        features = [images]
        hidden = self.first(images)
        for down in self.downs:
            convolved, hidden = down(hidden)
            features.append(convolved)
        for index, block in enumerate(self.blocks[:depth]):
            hidden = block(hidden)
            features += [hidden] * self._tapped_blocks.count(index)
        return hidden, features


class TranslationPair(nn.Module):
    """Generators of both directions: what CycleGAN trains and keeps."""

    multiple = ResnetGenerator.multiple

    def __init__(self, there: ResnetGenerator, back: ResnetGenerator) -> None:
        super().__init__()
        self.there = there
        self.back = back

    def forward(self, images: Tensor, reverse: bool = False) -> Tensor:
        """Translate images Float [N, C, H, W] to the target domain, or from it where `reverse`."""
        translated: Tensor = (self.back if reverse else self.there)(images)
        return translated


class ResidualBlock(nn.Module):
    """x + norm(conv(relu(norm(conv x)))), 3x3 with reflection padding."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            *_norm_relu(width),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map Float [N, width, H, W] to the same."""
        result: Tensor = images + self.branch(images)
        return result


class Down(nn.Module):
    """Halves the resolution and doubles the width.

    Its padding is zero. By reflection everywhere, an image of one color would vary in no layer at all, and the
    gradients of instance norm, which then grow 300 times a layer, would overflow. They still grow where the first
    layers are exactly constant, to 1e14 at most in what was tried, and Adam divides by that.
    """

    def __init__(self, width: int, antialias: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, 2 * width, 3, stride=1 if antialias else 2, padding=1)
        self.rest = nn.Sequential(*_norm_relu(2 * width), BlurDown() if antialias else nn.Identity())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map Float [N, width, H, W] to what the convolution made of it, and to [N, 2 width, H / 2, W / 2]."""
        convolved = self.convolution(images)
        return convolved, self.rest(convolved)


class BlurDown(nn.Module):
    """Halves the resolution by the filter [1,2,1] in both directions and every other pixel."""

    def forward(self, images: Tensor) -> Tensor:
        """Map Float [N, C, H, W] to [N, C, H / 2, W / 2]."""
        channels = images.shape[1]
        line = torch.tensor([0.25, 0.5, 0.25], dtype=images.dtype, device=images.device)
        kernel = (line[:, None] * line).expand(channels, 1, 3, 3)
        return conv2d(pad(images, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=channels)


class BlurUp(nn.Module):
    """Doubles the resolution bilinearly, which is zero-stuffing and the filter [1,3,3,1]."""

    def forward(self, images: Tensor) -> Tensor:
        """Map Float [N, C, H, W] to [N, C, 2 H, 2 W]."""
        return interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)


def initialize(module: nn.Module) -> None:
    """Draw weights of convolutions and linear layers from N(0, 0.02), biases 0 (Radford et al. 2016)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _norm_relu(width: int) -> tuple[nn.Module, nn.Module]:
    return nn.InstanceNorm2d(width), nn.ReLU()


def _up(width: int, antialias: bool) -> nn.Sequential:
    """Return layers that map [N, width, H, W] to [N, width / 2, 2 H, 2 W]."""
    half = width // 2
    if antialias:
        return nn.Sequential(BlurUp(), nn.Conv2d(width, half, 3, padding=1), *_norm_relu(half))
    transposed = nn.ConvTranspose2d(width, half, 3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(transposed, *_norm_relu(half))
