"""A U-Net of NAFNet blocks that restores images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MIN_CONTRAST = 1 / 255
SMOOTHINGS = 8  # Smoothings at each resolution of the first guess of what fills a hole.
DIFFUSIONS = 48  # Steps from that guess towards the steady state; holes in images of 64 pixels need 32.
SMALLEST = 1e-12  # A squared error that counts as none.


class NafBlock(nn.Module):
    """Nonlinear-activation-free block (Chen et al. 2022, https://arxiv.org/abs/2204.04676), its first half.

    1x1, depthwise 3x3, a product of halves as the gate, channel attention, 1x1; the residual branch starts at zero.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.expand = nn.Conv2d(width, 2 * width, 1)
        self.depthwise = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.attention = nn.Conv2d(width, width, 1)
        self.project = nn.Conv2d(width, width, 1)
        self.scale = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Map Float [N, width, H, W] to the same."""
        left, right = self.depthwise(self.expand(self.norm(images))).chunk(2, dim=1)
        gated = left * right
        gated = gated * self.attention(gated.mean(dim=(2, 3), keepdim=True))
        restored: Tensor = images + self.scale * self.project(gated)
        return restored


class UNet(nn.Module):
    """Degraded images and the masks of their holes to restored images.

    It predicts a residual, and where there is a mask, known pixels come back as they were. Inside, images have mean 0
    and deviation 1, so that its mistakes shrink with the contrast: smooth skies stay smooth.

    Args:
        channels: of the images.
        width: channels at the finest resolution; doubled at each coarser one.
        blocks: blocks per resolution, finest first, coarsest last.
    """

    def __init__(self, channels: int, width: int, blocks: Sequence[int]) -> None:
        super().__init__()
        self.multiple = 2 ** (len(blocks) - 1)  # Height and width have to be multiples of it.
        self.first = nn.Conv2d(channels + 1, width, 3, padding=1)
        self.encoders, self.downs, self.ups, self.decoders = (nn.ModuleList() for _ in range(4))
        for num_blocks in blocks[:-1]:
            self.encoders.append(_stack(width, num_blocks))
            self.downs.append(nn.Conv2d(width, 2 * width, 2, stride=2))
            width *= 2
        self.middle = _stack(width, blocks[-1])
        for num_blocks in reversed(blocks[:-1]):
            self.ups.append(nn.Sequential(nn.Conv2d(width, 2 * width, 1, bias=False), nn.PixelShuffle(2)))
            width //= 2
            self.decoders.append(_stack(width, num_blocks))
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, images: Tensor, mask: Tensor) -> Tensor:
        """Restore images.

        Args:
            images: Float [N, channels, H, W] in [-1, 1]; H and W multiples of `multiple`.
            mask: Float [N, 1, H, W], 1 where a pixel is missing. An empty mask: all of the image is to be restored.

        Returns:
            Float [N, channels, H, W], about [-1, 1] (not clamped).
        """
        images = fill_smoothly(images, mask)
        mean = images.mean(dim=(2, 3), keepdim=True)
        contrast = (images - mean).std(dim=(1, 2, 3), keepdim=True) + MIN_CONTRAST
        hidden = self.first(torch.cat([(images - mean) / contrast, mask], dim=1))
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            hidden = encoder(hidden)
            skips.append(hidden)
            hidden = down(hidden)
        hidden = self.middle(hidden)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            hidden = decoder(up(hidden) + skips.pop())
        residual = self.last(hidden) * contrast
        has_hole = mask.amax(dim=(1, 2, 3), keepdim=True)
        restored: Tensor = images + residual * torch.where(has_hole > 0, mask, 1.0)
        return restored


@torch.compiler.disable  # type: ignore[untyped-decorator]
@torch.no_grad()
def fill_smoothly(images: Tensor, mask: Tensor) -> Tensor:
    """Fill holes as heat would spread into them from the known pixels: what the network starts from.

    Each missing pixel becomes the mean of its four neighbors. Images without holes stay as they are and cost nothing.
    Shapes as in `UNet.forward`.
    """
    has_hole = mask.flatten(1).any(1)
    if not has_hole.any():
        return images
    filled = images.clone()
    filled[has_hole] = _diffused(_pull_push(images[has_hole], mask[has_hole]), mask[has_hole])
    return filled


def _diffused(images: Tensor, mask: Tensor) -> Tensor:
    """Come nearer to the steady state of diffusion into the holes, by conjugate gradients on Laplace's equation."""
    error = -mask * _curvature(images)
    direction, squared = error, _dot(error, error)
    for _ in range(DIFFUSIONS):
        change = mask * _curvature(direction)
        # Where nothing is wrong any more, both are 0, and so is the step.
        step = squared / _dot(direction, change).clamp(min=SMALLEST)
        images = images + step * direction
        error = error - step * change
        before, squared = squared, _dot(error, error)
        direction = error + squared / before.clamp(min=SMALLEST) * direction
    return images


def _curvature(images: Tensor) -> Tensor:
    """Return four times each pixel less its neighbors; beyond the edge of the image lies the pixel itself."""
    around = nn.functional.pad(images, (1, 1, 1, 1), mode="replicate")
    neighbors = around[..., :-2, 1:-1] + around[..., 2:, 1:-1] + around[..., 1:-1, :-2] + around[..., 1:-1, 2:]
    return 4 * images - neighbors


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(dim=(1, 2, 3), keepdim=True)


def _pull_push(images: Tensor, mask: Tensor) -> Tensor:
    """Return a first guess (Gortler et al. 1996, "The Lumigraph", section 3.4).

    Means of known pixels at coarser and coarser resolutions, which then fill the finer ones, smoothed at each.
    """
    colors, weights = [images * (1 - mask)], [1 - mask]
    while min(colors[-1].shape[-2:]) > 1:
        colors.append(nn.functional.avg_pool2d(colors[-1], 2, ceil_mode=True))
        weights.append(nn.functional.avg_pool2d(weights[-1], 2, ceil_mode=True))
    filled = colors[-1] / weights[-1].clamp(min=1e-6)
    for color, weight in zip(reversed(colors[:-1]), reversed(weights[:-1]), strict=True):
        filled = nn.functional.interpolate(filled, size=color.shape[-2:], mode="bilinear", align_corners=False)
        for _ in range(SMOOTHINGS):
            filled = color + (1 - weight) * filled
            filled = nn.functional.avg_pool2d(filled, 3, stride=1, padding=1, count_include_pad=False)
        filled = color + (1 - weight) * filled
    return filled


def _stack(width: int, num_blocks: int) -> nn.Sequential:
    return nn.Sequential(*(NafBlock(width) for _ in range(num_blocks)))
