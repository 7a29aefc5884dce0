"""Noticing that a training run has gone wrong: numbers that are not finite, and collapse."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_models.config import HealthConfig
from gan_models.data.image_set import ImageSet
from gan_models.errors import AtelierError
from gan_models.recipes import Recipe
from gan_models.training.distributed import ALONE, Processes

DIVERSITY = "health/diversity"
ACCURACIES = ("health/discriminator_accuracy_real", "health/discriminator_accuracy_fake")
IMAGES_PER_LABEL = 16  # The training images' own diversity is measured on so many.
MOST_LABELS = 10


class UnhealthyError(AtelierError):
    """Numbers that are not finite, or a collapse; the message says which, and at which step."""


class HealthMonitor:
    """Collects what steps report, on the device, and looks at it when asked: once in a while costs nothing.

    Args:
        processes: whose reports are averaged. What is wrong in one of them is wrong in all.
    """

    def __init__(self, processes: Processes = ALONE) -> None:
        self._processes = processes
        self._reports: list[tuple[int, list[str], Tensor]] = []

    def report(self, step: int, values: Mapping[str, Tensor]) -> None:
        """Keep the scalars that `step` returned, to be looked at later."""
        self._reports.append((step, list(values), torch.stack([value.float() for value in values.values()])))

    def check(self) -> dict[str, float]:
        """Check all values since the last call, and return those of the last step reported.

        Raises:
            UnhealthyError: naming the first step and value that is not finite.
        """
        reports, self._reports = self._reports, []
        if not reports:
            return {}
        numbers = iter(self._processes.mean(torch.cat([values for _, _, values in reports])).tolist())
        latest: dict[str, float] = {}
        for step, names, _ in reports:
            latest = {name: next(numbers) for name in names}
            for name, number in latest.items():
                if not math.isfinite(number):
                    raise UnhealthyError(f"{name} is {number} at step {step}")
        return latest


class CollapseWatch:
    """Judges what is finite and yet has gone wrong.

    Args:
        config: the limits.
        num_steps: of the run.
        real_diversity: what `health/diversity` is of the training images themselves.
        judges_accuracy: whether a perfect discriminator is a fault, see `saturates`.
    """

    def __init__(
        self, config: HealthConfig, num_steps: int, real_diversity: float, *, judges_accuracy: bool = True
    ) -> None:
        self.config = config
        self.real_diversity = real_diversity
        self._limit = config.max_discriminator_accuracy if judges_accuracy else None
        self._judged_from = max(config.warm_up * num_steps, config.warm_up_steps)
        self._perfect = 0

    def look(self, step: int, values: Mapping[str, float]) -> None:
        """Check what a step logged.

        Raises:
            UnhealthyError: a value is not finite, all images generated look alike, or the discriminator has long been
                perfect.
        """
        for name, value in values.items():
            if not math.isfinite(value):
                raise UnhealthyError(f"{name} is {value} at step {step}")
        diversity = values.get(DIVERSITY)
        least = self.config.min_diversity * self.real_diversity
        if diversity is not None and step > self._judged_from and diversity < least:
            raise UnhealthyError(
                f"the generator has collapsed: at step {step} the diversity of its images is {diversity:.2g}, "
                f"that of the training images is {self.real_diversity:.2g} (limit: train.health.min_diversity)"
            )
        limit = self._limit
        if limit is None or not all(name in values for name in ACCURACIES):
            return
        self._perfect = self._perfect + 1 if min(values[name] for name in ACCURACIES) >= limit else 0
        if self._perfect >= self.config.patience:
            self._perfect = 0
            raise UnhealthyError(
                f"the discriminator leaves the generator nothing to learn: at step {step} it has told real from fake "
                f"images with accuracy {limit:g} for {self.config.patience} logged steps "
                "(train.health.max_discriminator_accuracy, patience)"
            )


def saturates(recipe: Recipe) -> bool:
    """Return whether a discriminator that is always right has nothing more to teach.

    Wasserstein and relativistic losses, whose logits have no boundary between real and fake, go on pulling however far
    apart these are.
    """
    return getattr(getattr(recipe, "loss", None), "boundary", None) is not None


def real_diversity(images: ImageSet, conditional: bool) -> float:
    """Return `health/diversity` of training images.

    It is the standard deviation of a pixel over images, of one label where a model is conditional, averaged over pixels
    and labels, on [0, 1]. A few images, spread over the set, suffice.
    """
    labels = images.labels if conditional else None
    groups = [torch.arange(len(images.images))]
    if labels is not None:
        groups = [(labels == label).nonzero()[:, 0] for label in range(min(len(images.label_names), MOST_LABELS))]
    spreads = []
    for group in groups:
        chosen = group[torch.linspace(0, len(group) - 1, min(IMAGES_PER_LABEL, len(group))).long()]
        if len(chosen) > 1:
            spreads.append(images.images[chosen].float().std(dim=0).mean().item() / 255)
    return sum(spreads) / len(spreads) if spreads else 0.0


def check_weights(networks: Mapping[str, nn.Module], step: int) -> None:
    """Check the weights before they are kept.

    Raises:
        UnhealthyError: a weight or a buffer of one of the networks is not finite.
    """
    for name, network in networks.items():
        tensors = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
        if not torch.stack(torch._foreach_norm(tensors)).isfinite().all():
            raise UnhealthyError(f"weights of the {name} are not finite at step {step}")
