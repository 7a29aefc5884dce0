"""The U-Net of pix2pix: an encoder to a few pixels, a decoder back, and skips between equal resolutions."""

from typing import Literal

import torch
from torch import Tensor, nn

from gan_models.images.randomness import Random
from gan_models.networks.resnet_generator import initialize

WIDEST = 8  # In multiples of `width`.
NUM_DROPOUT_STAGES = 3


class Pix2PixUNet(nn.Module):
    """Isola et al. 2017 (arXiv 1611.07004, section 6.1), with instance norm, which is what batch norm is at batch 1.

    Args:
        channels: of the images.
        width: channels after the first stage; doubled at each further one, up to `WIDEST` times.
        num_stages: each halves the resolution.
        dropout: share of the features set to zero in the three coarsest stages of the decoder, in training.
        upsample: "transposed" convolutions, or the "nearest" pixel and a convolution, which leaves no checkerboards
            (Odena et al. 2016, https://distill.pub/2016/deconv-checkerboard).
        num_classes: 0 to make images; else, it gives each pixel that many logits.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        num_stages: int,
        dropout: float = 0.0,
        upsample: Literal["transposed", "nearest"] = "transposed",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.multiple = 2**num_stages  # Height and width have to be multiples of it.
        self.dropout = dropout
        widths = [width * min(2**stage, WIDEST) for stage in range(num_stages)]
        self.encoders, self.decoders = nn.ModuleList(), nn.ModuleList()
        for stage, outputs in enumerate(widths):
            convolution = nn.Conv2d(widths[stage - 1] if stage else channels, outputs, 4, stride=2, padding=1)
            # Not in the first stage, as in the paper, and not in the last, where it may be norming single pixels.
            norm = nn.InstanceNorm2d(outputs, affine=True) if 0 < stage < num_stages - 1 else nn.Identity()
            self.encoders.append(nn.Sequential(convolution, norm))
        for stage in reversed(range(num_stages)):
            inputs = widths[stage] * (1 if stage == num_stages - 1 else 2)
            outputs = widths[stage - 1] if stage else num_classes or channels
            up: list[nn.Module] = [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)]
            if upsample == "nearest":
                up = [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1)]
            last = nn.Identity() if num_classes else nn.Tanh()
            self.decoders.append(nn.Sequential(*up, nn.InstanceNorm2d(outputs, affine=True) if stage else last))
        self.apply(initialize)

    def forward(self, images: Tensor, random: Random | None = None) -> Tensor:
        """Translate images.

        Args:
            images: Float [N, channels, H, W] in [-1, 1]; H and W multiples of `multiple`.
            random: for dropout, where wanted: in training. Without, the same images give the same results.

        Returns:
            Float [N, channels, H, W] in [-1, 1]; with classes, logits, Float [N, num_classes, H, W].
        """
        hidden, skips = images, []
        for stage, encoder in enumerate(self.encoders):
            hidden = encoder(nn.functional.leaky_relu(hidden, 0.2) if stage else hidden)
            skips.append(hidden)
        hidden = skips.pop()
        for stage, decoder in enumerate(self.decoders):
            hidden = decoder(hidden.relu())
            if random is not None and self.dropout and stage < min(NUM_DROPOUT_STAGES, len(skips)):
                kept = random.uniform(*hidden.shape) >= self.dropout
                hidden = hidden * kept / (1 - self.dropout)
            if skips:
                hidden = torch.cat([hidden, skips.pop()], dim=1)
        return hidden
