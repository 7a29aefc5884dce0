"""What the translating recipes share of adversarial training: a PatchGAN that judges real and translated images."""

import torch
from torch import Tensor, nn

from gan_models.config import ConfigError, ImageConfig
from gan_models.losses.adversarial import AdversarialLoss
from gan_models.networks.patch_discriminator import Norm, PatchDiscriminator
from gan_models.networks.resnet_generator import initialize


def build_discriminator(image: ImageConfig, channels: int, width: int, num_stages: int, norm: Norm) -> nn.Module:
    """Build an overlapping PatchGAN for images of `channels`, its weights from N(0, 0.02).

    Raises:
        ConfigError: the images are too small for it.
    """
    discriminator = PatchDiscriminator(channels, width, num_stages, norm, overlapping=True)
    if image.size < discriminator.smallest:
        raise ConfigError(
            f"a discriminator of {num_stages} stages judges images of {discriminator.smallest} pixels or more, and "
            f"image.size is {image.size}; lower discriminator_stages or raise image.size"
        )
    if norm != "spectral":  # It keeps weights at length 1 whatever they start from.
        discriminator.apply(initialize)
    return discriminator


def discriminator_terms(
    discriminator: nn.Module, real: Tensor, fake: Tensor, loss: AdversarialLoss
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the discriminator's loss on real and fake images, Float [N, C, S, S], and how often it is right.

    Half of the sum, which slows it down relative to the generator (Isola et al. 2017, arXiv 1611.07004, section 3.3).
    """
    logits: Tensor = discriminator(torch.cat([real, fake]))[0].float()  # No layer couples the images of a batch.
    real_logits, fake_logits = logits.tensor_split(2)
    right_on_real, right_on_fake = loss.accuracies(real_logits, fake_logits)
    return loss.on_discriminator(real_logits, fake_logits).mean() / 2, {
        "health/discriminator_accuracy_real": right_on_real,
        "health/discriminator_accuracy_fake": right_on_fake,
    }


def variety(images: Tensor) -> float:
    """Return the deviation of a pixel over images [N, C, S, S] in [-1, 1], averaged, on [0, 1]: 0 where all are one."""
    return (images.float().std(dim=0).mean() / 2).item() if len(images) > 1 else 0.0
