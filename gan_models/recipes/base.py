"""What a recipe is: networks, their optimizers, one training step, and a preview."""

import math
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gan_models.config import TrainConfig
from gan_models.images.randomness import Random
from gan_models.recipes.gradients import gradient_norm
from gan_models.recipes.memory_format import memory_format
from gan_models.recipes.processes import average_gradients


class Batch(NamedTuple):
    """Images, Float [N, C, S, S] in [-1, 1], and their labels, int64 [N], or None where the data has none.

    targets, target_labels: as many of the domain that a recipe turns images into, the partners of the images where it
        learns from pairs and any others where it does not; None where it has no such.
    """

    images: Tensor
    labels: Tensor | None
    targets: Tensor | None = None
    target_labels: Tensor | None = None


class Preview(NamedTuple):
    """A picture to look at, uint8 [C, H, W], and numbers that belong to it, by name."""

    picture: Tensor
    values: dict[str, float]


class Recipe(ABC):
    """One way to train one family of models.

    A subclass sets `networks` and `optimizers` (by name, optimizers made by `adam`) and moves weights by
    `update` alone. Everything that its next step depends on is in `state_dict`.
    """

    networks: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.learning_rate_scale = 1.0  # A rollback lowers it.

    @property
    def generator(self) -> nn.Module:
        """Return the network that is kept: the EMA follows it and the bundle holds it."""
        return self.networks["generator"]

    @abstractmethod
    def training_step(self, batch: Batch, step: int, random: Random) -> dict[str, Tensor]:
        """Update every network once.

        Args:
            batch: on the device of the recipe.
            step: counted from 1.
            random: made for this step, on the same device; all that is random comes from it.

        Returns:
            Detached scalars by metric name, `loss/...` and `health/...`.
        """

    @abstractmethod
    def preview(self, network: nn.Module, batch: Batch, random: Random) -> Preview:
        """Show what `network`, a copy of `generator` in evaluation mode, does with fixed inputs."""

    def learning_rate(self, step: int, network: str) -> float:
        """Return the rate for a network at a step, counted from 1: rising, constant, falling by `schedule`."""
        recipe, steps = self.config.recipe, self.config.steps
        done = (step - 1) / steps
        if step / steps < recipe.warm_up:
            return recipe.learning_rate * step / steps / recipe.warm_up
        fallen = (
            min(1.0, max(0.0, 1 - (1 - done) / recipe.decay)) if recipe.decay else 0.0
        )  # The share of the way down.
        curve = {"constant": 0.0, "linear": fallen, "cosine": 0.5 * (1 - math.cos(math.pi * fallen))}[recipe.schedule]
        return recipe.learning_rate * (1 - curve * (1 - recipe.final_learning_rate))

    def set_learning_rates(self, step: int) -> None:
        """Give every optimizer the learning rate of `step`."""
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate(step, name) * self.learning_rate_scale

    def update(self, loss: Tensor, *networks: str) -> Tensor:
        """Move the weights of `networks` down `loss`, a mean over this process's share of the batch.

        Gradients are averaged over processes, and clipped where the config says so.

        Returns:
            The Euclidean norm of each network's gradient before clipping, all together, a scalar.
        """
        for name in networks:
            self.optimizers[name].zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norms = []
        for name in networks:
            parameters = [p for p in self.networks[name].parameters() if p.grad is not None]
            average_gradients(parameters)
            if self.config.recipe.gradient_clip:
                norms.append(nn.utils.clip_grad_norm_(parameters, self.config.recipe.gradient_clip))
            else:
                norms.append(gradient_norm(parameters))
            self.optimizers[name].step()
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms)).detach()
        return norm

    def place(self, network: nn.Module) -> nn.Module:
        """Move `network` to the device, in the memory format of the config."""
        chosen = memory_format(self.config, self.device)
        return network.to(device=self.device, memory_format=chosen)  # type: ignore[call-overload,no-any-return]

    def adam(self, network: nn.Module, betas: tuple[float, float]) -> torch.optim.Adam:
        """Make Adam for the parameters of `network`; `set_learning_rates` gives it the rate."""
        return torch.optim.Adam(network.parameters(), betas=betas, fused=self.config.speed.fused_optimizer)

    def autocast(self) -> AbstractContextManager[Any]:
        """Set the precision of the config for forward passes; auto is bfloat16 on a GPU and float32 on a CPU."""
        precision = self.config.speed.precision
        enabled = self.device.type == "cuda" if precision == "auto" else precision == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)

    def state_dict(self) -> dict[str, Any]:
        """Return networks, optimizers and the learning rate's scale, as plain containers and tensors."""
        return {
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "learning_rate_scale": self.learning_rate_scale,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo `state_dict`.

        Raises:
            KeyError, RuntimeError, ValueError: the state is of another recipe or architecture.
        """
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.learning_rate_scale = float(state["learning_rate_scale"])
