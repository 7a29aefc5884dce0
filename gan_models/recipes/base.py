"""What a recipe is: networks, their optimisers, one training step, and a preview."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from gan_models.config import TrainConfig

Task = Literal["generate", "restore"]


class Batch(NamedTuple):
    """Images, Float [N, C, S, S] in [-1, 1], and their labels, int64 [N], or None where the data has none."""

    images: Tensor
    labels: Tensor | None


class Preview(NamedTuple):
    """A picture to look at, uint8 [C, H, W], and numbers that belong to it, by name."""

    picture: Tensor
    values: dict[str, float]


class Recipe(ABC):
    """One way to train one family of models.

    A subclass sets `networks` and `optimizers` (by name, optimisers made by `adam`), and everything that its next step
    depends on is in `state_dict`.
    """

    task: ClassVar[Task]
    networks: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.learning_rate_scale = 1.0  # lowered by a rollback

    @property
    def generator(self) -> nn.Module:
        """The network that is kept: the EMA follows it and the bundle holds it."""
        return self.networks["generator"]

    @abstractmethod
    def training_step(self, batch: Batch, step: int, random: torch.Generator) -> dict[str, Tensor]:
        """One update of every network.

        Args:
            batch: on the device of the recipe.
            step: counted from 1.
            random: made for this step, on the same device; all that is random comes from it.

        Returns:
            Detached scalars by metric name, `loss/...` and `health/...`.
        """

    @abstractmethod
    def preview(self, network: nn.Module, batch: Batch, random: torch.Generator) -> Preview:
        """What `network`, a copy of `generator` in evaluation mode, does with fixed inputs."""

    @abstractmethod
    def learning_rate(self, step: int, network: str) -> float:
        """The schedule of the optimiser of `network`, for steps counted from 1."""

    def set_learning_rates(self, step: int) -> None:
        """Give every optimiser the learning rate of `step`."""
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate(step, name) * self.learning_rate_scale

    def place(self, network: nn.Module) -> nn.Module:
        """`network` on the device, in the memory format that convolutions are fastest in, on CPUs as on GPUs."""
        return network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def adam(self, network: nn.Module, betas: tuple[float, float]) -> torch.optim.Adam:
        """Adam for the parameters of `network`; `set_learning_rates` gives it the rate."""
        return torch.optim.Adam(network.parameters(), betas=betas, fused=True)

    def autocast(self) -> AbstractContextManager[Any]:
        """bfloat16 for forward passes on a GPU, float32 on a CPU."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda")

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimisers and the learning rate's scale, as plain containers and tensors."""
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


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Euclidean norm of all gradients together, a scalar."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return norm


def tile(images: Tensor, columns: int) -> Tensor:
    """Images Float [N, C, H, W] in [-1, 1] as one picture, uint8 [C, rows * H, columns * W], row by row."""
    num, channels, height, width = images.shape
    assert num % columns == 0, "the rows of a picture are full"
    rows = to_uint8(images).reshape(num // columns, columns, channels, height, width)
    return rows.permute(2, 0, 3, 1, 4).reshape(channels, num // columns * height, columns * width).contiguous()


def to_uint8(images: Tensor) -> Tensor:
    """Float images in [-1, 1], clamped, as uint8 in [0, 255]."""
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def to_float(images: Tensor) -> Tensor:
    """uint8 images in [0, 255] as Float in [-1, 1]."""
    return images.float() / 127.5 - 1
