"""A network that repaints images in any of several learned styles, or in that of an example."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from gan_models.networks.feature_network import FeatureNetwork

COARSEST = 8  # Pixels of the image per pixel of the coarsest features that are transformed.
FLOOR = 0.05  # It is added to variances: less than that is noise, which AdaIN would blow up.
STYLE_GAIN = 4.0  # Learned styles, only a few numbers, move this many times faster than weights.


class StyleBank(nn.Module):
    """images + alpha * what a style adds to them: with alpha 0, images come back as they are.

    What is added is computed from features at several resolutions, the image itself among them: a frozen encoder's,
    each given the mean and deviation of the style (AdaIN, Huang & Belongie 2017, https://arxiv.org/abs/1703.06868),
    then a decoder that mirrors the encoder, with nearest upsampling and no normalization, which would undo the style.
    A style is these means and deviations, and either learned (as in Dumoulin et al. 2017, https://arxiv.org/abs/1610.07629)
    or taken from any image.

    Args:
        channels: of the images.
        width: channels of the decoder at full resolution; doubled at a half, four times as many below.
        num_styles: how many are learned.
        encoder: the frozen network; its weights are part of this one's.
    """

    reference_mean: Tensor
    reference_deviation: Tensor

    def __init__(self, channels: int, width: int, num_styles: int, encoder: FeatureNetwork) -> None:
        super().__init__()
        self.encoder = encoder
        self.num_stages = sum(stride <= COARSEST for stride in encoder.strides)
        self.channels = [channels, *encoder.channels[: self.num_stages]]
        self.strides = (1, *encoder.strides[: self.num_stages])
        self.multiple = self.strides[-1]  # Height and width have to be multiples of it.
        self.style_size = 2 * sum(self.channels)
        self.register_buffer("reference_mean", torch.zeros(sum(self.channels)))
        self.register_buffer("reference_deviation", torch.ones(sum(self.channels)))
        self.styles = nn.Parameter(torch.zeros(num_styles, self.style_size))

        widths = [width * min(4, stride) for stride in self.strides]
        self.middle = _convolution(self.channels[-1], widths[-1])
        self.decoder = nn.ModuleList(
            _convolution(widths[level] + inputs, widths[level - 1])
            for level, inputs in reversed(list(enumerate(self._skip_channels(), start=1)))
        )
        self.last = nn.Conv2d(width, channels, 3, padding=1, padding_mode="replicate")
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(
        self, images: Tensor, style: Tensor, alpha: float | Tensor = 1.0, levels: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Repaint images.

        Args:
            images: Float [N, channels, H, W] in [-1, 1], H and W multiples of `multiple`.
            style: Float [N, style_size], of `learned_styles` or `style_of`.
            alpha: how much of it, from 0 to 1; one number, or Float [N, 1, 1, 1].
            levels: of the images, where they are known already.

        Returns:
            Float [N, channels, H, W], somewhat beyond [-1, 1] in places.
        """
        return images + alpha * self._style_path(self.levels(images) if levels is None else levels, style)

    def learned_styles(self, labels: Tensor) -> Tensor:
        """Return the styles of int64 labels [N], Float [N, style_size]."""
        means, logarithms = (STYLE_GAIN * self.styles[labels]).chunk(2, dim=1)
        return torch.cat([means, logarithms.exp()], dim=1)

    def style_of(self, images: Tensor) -> Tensor:
        """Return the style of each of images Float [N, channels, H, W] in [-1, 1], Float [N, style_size]."""
        return self.style_of_levels(self.levels(images))

    def style_of_levels(self, levels: Sequence[Tensor]) -> Tensor:
        """Return the style of images of which there are `levels`, Float [N, style_size]."""
        moments = [_moments(level) for level in levels]
        return torch.cat([mean for mean, _ in moments] + [deviation for _, deviation in moments], dim=1).flatten(1)

    def levels(self, images: Tensor, features: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Describe what images Float [N, channels, H, W] look like at each resolution, in the units of `calibrate`.

        Args:
            images: the finest level.
            features: of the encoder for them, where they are known already; stages beyond the coarsest level are left.

        Returns:
            The image and the encoder's stages, finest first.
        """
        found = self.encoder(images, self.num_stages) if features is None else features[: self.num_stages]
        means, deviations = (torch.split(x, self.channels) for x in (self.reference_mean, self.reference_deviation))
        return [
            (level.float() - mean.view(1, -1, 1, 1)) / deviation.view(1, -1, 1, 1)
            for level, mean, deviation in zip([images, *found], means, deviations, strict=True)
        ]

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> None:
        """Make the scale of every feature over `images`, Float [N, channels, H, W], the unit it is measured in."""
        self.reference_mean.zero_()
        self.reference_deviation.fill_(1.0)
        moments = [torch.var_mean(feature, dim=(0, 2, 3)) for feature in self.levels(images)]
        self.reference_mean.copy_(torch.cat([mean for _, mean in moments]))
        self.reference_deviation.copy_(torch.cat([variance.sqrt().clamp(min=1e-3) for variance, _ in moments]))

    def _skip_channels(self) -> Sequence[int]:
        """Count the channels that the decoder gets at each level but the coarsest: at the finest, also the image."""
        return (2 * self.channels[0], *self.channels[1:-1])

    def _style_path(self, levels: Sequence[Tensor], style: Tensor) -> Tensor:
        means, deviations = (torch.split(part, self.channels, dim=1) for part in style.chunk(2, dim=1))
        skips = [_adain(*parts) for parts in zip(levels, means, deviations, strict=True)]
        hidden = self.middle(skips.pop())
        skips[0] = torch.cat([levels[0], skips[0]], dim=1)
        for block in self.decoder:
            skip = skips.pop()
            if hidden.shape[-2:] != skip.shape[-2:]:
                hidden = interpolate(hidden, skip.shape[-2:], mode="nearest")
            hidden = block(torch.cat([hidden, skip], dim=1))
        residual: Tensor = self.last(hidden)
        return residual


class _LeakyConvolution(nn.Conv2d):
    def forward(self, features: Tensor) -> Tensor:
        return leaky_relu(super().forward(features), 0.2)


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    convolution = _LeakyConvolution(inputs, outputs, 3, padding=1, padding_mode="replicate")
    nn.init.kaiming_normal_(convolution.weight, a=0.2)
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return convolution


def _adain(features: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Give features [N, C, H, W] the mean and deviation [N, C] over their pixels."""
    own_mean, own_deviation = _moments(features)
    normalized = (features - own_mean) / own_deviation
    return normalized * deviation[:, :, None, None] + mean[:, :, None, None]


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation over the pixels of features [N, C, H, W], each [N, C, 1, 1]."""
    mean = features.mean(dim=(2, 3), keepdim=True)
    # torch.var_mean is several times slower on a CPU in this memory format.
    return mean, ((features - mean).square().mean(dim=(2, 3), keepdim=True) + FLOOR).sqrt()
