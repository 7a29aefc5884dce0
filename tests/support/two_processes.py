"""What each of two processes does for test_distributed."""

import json
from pathlib import Path

import pytest
import torch

from gan_models.recipes import build_recipe
from gan_models.recipes.base import Recipe
from gan_models.recipes.dcgan import DcganRecipe
from gan_models.training.distributed import Processes, join
from gan_models.training.loop import Trainer
from tests.support.checked import of_type
from tests.support.training_runs import DCGAN, RECIPES, train_config, training_data

CPU = torch.device("cpu")
LEARNING_RATE = 0.0005  # small, so that networks do not amplify what rounding makes of their first step


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Weights and buffers of all networks and the moving average."""
    return {
        f"{name}.{key}": tensor
        for name, network in {**trainer.recipe.networks, "ema": trainer.ema.network}.items()
        for key, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }


class WithOwnState(DcganRecipe):
    """Keeps something that differs from process to process, as a pool of past fakes does."""

    own = -1

    def state_dict(self):
        return {**super().state_dict(), "own": self.own}

    def load_state_dict(self, state):
        super().load_state_dict(state)
        self.own = state["own"]


def descend_gradients(patch: pytest.MonkeyPatch) -> None:
    """Give recipes plain gradient descent.

    Adam makes steps of full length out of gradients that are zero but for rounding, such as those of a bias before an
    instance norm: weights would then differ by more than rounding, whoever summed the gradients.
    """
    patch.setattr(Recipe, "adam", lambda self, network, betas: torch.optim.SGD(network.parameters(), lr=LEARNING_RATE))


def as_tried(section: dict[str, object]) -> dict[str, object]:
    return {**section, "learning_rate": LEARNING_RATE}


def trainer(section: dict[str, object], out: Path, processes: Processes, steps: int) -> Trainer:
    data = training_data(section)
    out.mkdir(exist_ok=True)
    return Trainer(train_config(section, steps=steps), data, data, out, CPU, processes)


def keep_own_state(patch: pytest.MonkeyPatch) -> None:
    """Let DCGANs be trained that have a state of their own."""

    def build(*arguments):
        recipe = build_recipe(*arguments)
        recipe.__class__ = WithOwnState
        return recipe

    patch.setattr("gan_models.training.loop.build_recipe", build)


def poison_one_step(patch: pytest.MonkeyPatch, processes: Processes) -> None:
    original, left = DcganRecipe.training_step, [processes.rank]

    def poisoned(self, batch, step, random):
        values = original(self, batch, step, random)
        if step == 2 and left[0]:
            left[0] = 0
            values["loss/generator"] = torch.tensor(float("nan"))
        return values

    patch.setattr(DcganRecipe, "training_step", poisoned)


def fail() -> None:
    raise OSError("disk full")


def train_every_recipe(arguments: list[str]) -> int:
    """Train for so many steps and write to a folder what came of it; the arguments are the folder and the steps."""
    out, steps = Path(arguments[0]), int(arguments[1])
    with join(CPU) as processes:
        rank = processes.rank
        with pytest.MonkeyPatch.context() as patch:
            descend_gradients(patch)
            for name, section in RECIPES.items():
                run = trainer(as_tried(section), out / name, processes, steps)
                run.run()
                torch.save(weights(run), out / f"{name} {rank}.pt")

        try:
            processes.on_first(fail)
        except OSError as error:
            (out / f"error {rank}").write_text(str(error))

        with pytest.MonkeyPatch.context() as patch:
            keep_own_state(patch)
            first = trainer(DCGAN, out / "own", processes, steps)
            of_type(WithOwnState, first.recipe).own = rank
            first.run()
            again = trainer(DCGAN, out / "own", processes, steps)
            (out / f"own {rank}").write_text(str(of_type(WithOwnState, again.recipe).own))

        with pytest.MonkeyPatch.context() as patch:
            poison_one_step(patch, processes)
            poisoned = trainer(DCGAN, out / "poisoned", processes, steps)
            poisoned.run()
        (out / f"rollbacks {rank}.json").write_text(json.dumps(poisoned.rollbacks.entries))
    return 0
