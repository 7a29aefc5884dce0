"""All that a run's next step depends on, gathered from its processes and given back to them."""

import io
from typing import Any

import torch

from gan_models.recipes import Recipe
from gan_models.training.distributed import Processes
from gan_models.training.ema import ExponentialMovingAverage

# Of a recipe's state. Each process has others of its own, such as pools of fakes.
SAME_IN_ALL = ("networks", "optimizers", "learning_rate_scale")


def state_of(recipe: Recipe, ema: ExponentialMovingAverage, processes: Processes) -> dict[str, Any]:
    """Return the state of a run: the first process's, and of each other one what it does not share with it."""
    state = recipe.state_dict()
    own = {name: value for name, value in state.items() if name not in SAME_IN_ALL}
    others = processes.gather(_packed(own))[1:]
    return {"recipe": state, "ema": ema.state_dict(), "others": [_unpacked(content) for content in others]}


def restore_state(state: dict[str, Any], recipe: Recipe, ema: ExponentialMovingAverage, processes: Processes) -> None:
    """Undo `state_of`. A process that was not there when it was taken starts with what the first one had.

    Raises:
        KeyError, RuntimeError, ValueError: the state is of another recipe or architecture.
    """
    others = state["others"]
    own = others[processes.rank - 1] if 0 < processes.rank <= len(others) else {}
    recipe.load_state_dict({**state["recipe"], **own})
    ema.load_state_dict(state["ema"])


def _packed(state: dict[str, Any]) -> bytes:
    content = io.BytesIO()
    torch.save(state, content)
    return content.getvalue()


def _unpacked(content: bytes) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state
