"""How much memory a training run needs."""

import weakref
from typing import Any

import torch
from torch import Tensor, nn

from gan_models.config import TrainConfig
from gan_models.images.randomness import random_for
from gan_models.recipes import Recipe
from gan_models.recipes.base import Batch

TRIED_IMAGES = 4  # Activations are measured in a step of so many images.


def bytes_of_weights(networks: dict[str, nn.Module], trained: set[str]) -> dict[str, int]:
    """Count the bytes of the weights and buffers, the gradients, Adam's two moments, and the EMA of the generator.

    Args:
        networks: of a recipe.
        trained: names of those that have an optimizer.
    """
    weights = {name: sum(t.nbytes for t in network.state_dict().values()) for name, network in networks.items()}
    gradients = sum(p.nbytes for name in trained for p in networks[name].parameters() if p.requires_grad)
    return {
        "weights": sum(weights.values()),
        "gradients": gradients,
        "optimizers": 2 * gradients,
        "moving average": weights["generator"],
    }


def bytes_of_activations(recipe: Recipe, config: TrainConfig, num_labels: int) -> int:
    """Count the most bytes held for backward passes at any moment of a step, for a whole batch, in float32.

    Measured: autograd reports what it keeps and lets go in one real step on a few images of noise, and what those
    took is scaled to the batch. Weights, gradients and the workspace of convolutions are not in it. The step changes
    the weights of `recipe`.
    """
    num = min(TRIED_IMAGES, config.batch_size)
    held = _HeldTensors(recipe)
    with torch.autograd.graph.saved_tensors_hooks(held.pack, held.unpack):
        recipe.training_step(
            _noise(config, num, num_labels, recipe.device), 1, random_for("trial", device=recipe.device)
        )
    return held.most * config.batch_size // num


class _HeldTensors:
    """Counts the bytes of tensors that autograd keeps; each storage once, those of weights not at all."""

    def __init__(self, recipe: Recipe) -> None:
        self.now = self.most = 0
        self._holders: dict[int, int] = {}
        self._weights = {t.data_ptr() for network in recipe.networks.values() for t in network.state_dict().values()}

    def pack(self, tensor: Tensor) -> Any:  # noqa: ANN401
        storage = tensor.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        kept = _Kept(tensor)
        if place not in self._weights:
            self._holders[place] = self._holders.get(place, 0) + 1
            if self._holders[place] == 1:
                self.now += size
                self.most = max(self.most, self.now)
            weakref.finalize(kept, self._let_go, place, size)
        return kept

    def unpack(self, kept: Any) -> Tensor:  # noqa: ANN401
        tensor: Tensor = kept.tensor
        return tensor

    def _let_go(self, place: int, size: int) -> None:
        self._holders[place] -= 1
        if not self._holders[place]:
            self.now -= size


class _Kept:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def _noise(config: TrainConfig, num: int, num_labels: int, device: torch.device) -> Batch:
    random = random_for("noise", device=device)
    shape = (config.image.channels, config.image.size, config.image.size)
    images, targets = (random.uniform(num, *shape) * 2 - 1 for _ in range(2))
    labels = random.integers(num, num_labels) if num_labels else None
    if config.recipe.domains[1] is None:
        return Batch(images, labels)
    return Batch(images, None, targets, labels)
