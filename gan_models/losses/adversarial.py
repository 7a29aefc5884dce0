"""Adversarial losses on logits. Each returns one value per logit, to be averaged, or weighted patch by patch."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu, softplus


@dataclass(frozen=True)
class AdversarialLoss:
    """What the discriminator pays on real and on fake images, and the generator on its own.

    `real`, `fake` and `generator` take one logit. `on_discriminator` and `on_generator` take pairs of a real and a fake
    image, which every loss can be used with: a relativistic one, for which only the difference of a pair counts, hands
    that difference to `real` and `generator`.

    Args:
        boundary: the logit between "real" and "fake"; None where only differences of logits mean something.
        is_relativistic: whether each fake image is judged against a real one.
    """

    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    boundary: float | None = 0.0
    is_relativistic: bool = False

    def on_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the discriminator's loss of each pair, Float [N], from logits of real and fake images, Float [N]."""
        return self.real(real - fake) if self.is_relativistic else self.real(real) + self.fake(fake)

    def on_generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return the generator's loss of each pair, Float [N]; only relativistic losses use logits of real images."""
        if not self.is_relativistic:
            return self.generator(fake)
        assert real is not None, "a relativistic loss compares fake images with real ones"
        return self.generator(fake - real)

    def accuracies(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shares of real and of fake images that the discriminator recognizes, two scalars.

        Where logits have no boundary, it is put halfway between the mean logits of the two.
        """
        real, fake = real.detach(), fake.detach()
        boundary = (real.mean() + fake.mean()) / 2 if self.boundary is None else self.boundary
        return (real > boundary).float().mean(), (fake < boundary).float().mean()


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
        boundary=0.5,
    ),
    # Lim & Ye 2017, https://arxiv.org/abs/1705.02894; Miyato et al. 2018, https://arxiv.org/abs/1802.05957
    "hinge": AdversarialLoss(
        real=lambda logits: relu(1 - logits),
        fake=lambda logits: relu(1 + logits),
        generator=lambda logits: -logits,
    ),
    # Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875; for discriminators kept smooth by a penalty or a norm
    "wasserstein": AdversarialLoss(
        real=lambda logits: -logits,
        fake=lambda logits: logits,
        generator=lambda logits: -logits,
        boundary=None,
    ),
    # Jolicoeur-Martineau 2018, https://arxiv.org/abs/1807.00734; Huang et al. 2024, https://arxiv.org/abs/2501.05441
    "relativistic": AdversarialLoss(
        real=lambda logits: softplus(-logits),
        fake=lambda logits: softplus(logits),
        generator=lambda logits: softplus(-logits),
        boundary=None,
        is_relativistic=True,
    ),
}
