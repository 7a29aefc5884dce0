"""Adversarial losses on logits. Each returns one value per logit, to be averaged, or weighted patch by patch."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu, softplus


@dataclass(frozen=True)
class AdversarialLoss:
    """What the discriminator pays on real and on fake images, and the generator on its own."""

    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


ADVERSARIAL_LOSSES = {
    # Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, section 3
    "non_saturating": AdversarialLoss(
        real=lambda logits: softplus(-logits),
        fake=lambda logits: softplus(logits),
        generator=lambda logits: softplus(-logits),
    ),
    # Mao et al. 2017, https://arxiv.org/abs/1611.04076
    "lsgan": AdversarialLoss(
        real=lambda logits: (logits - 1).square(),
        fake=lambda logits: logits.square(),
        generator=lambda logits: (logits - 1).square(),
    ),
    # Lim & Ye 2017, https://arxiv.org/abs/1705.02894; Miyato et al. 2018, https://arxiv.org/abs/1802.05957
    "hinge": AdversarialLoss(
        real=lambda logits: relu(1 - logits),
        fake=lambda logits: relu(1 + logits),
        generator=lambda logits: -logits,
    ),
}
