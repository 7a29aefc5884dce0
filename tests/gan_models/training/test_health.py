"""Runs that go wrong are rolled back once, then stopped."""

import pytest
import torch

from gan_models.recipes.dcgan import DcganRecipe
from gan_models.training.health import HealthMonitor, UnhealthyError, check_weights
from gan_models.training.loop import Outcome, Trainer
from tests.gan_models.training.runs import DCGAN, train_config, training_data

CPU = torch.device("cpu")


def inject_nan(monkeypatch: pytest.MonkeyPatch, step: int, times: int) -> None:
    """Makes a weight NaN before `step`, as often as `times`."""
    original, left = DcganRecipe.training_step, [times]

    def poisoned(self, batch, at, random):
        if at == step and left[0]:
            left[0] -= 1
            next(self.generator.parameters()).data.flatten()[0] = float("nan")
        return original(self, batch, at, random)

    monkeypatch.setattr(DcganRecipe, "training_step", poisoned)


def test_a_nan_rolls_the_run_back_to_its_last_checkpoint_with_a_lower_learning_rate(tmp_path, monkeypatch) -> None:
    inject_nan(monkeypatch, step=7, times=1)
    trainer = Trainer(train_config(DCGAN), training_data(DCGAN), training_data(DCGAN), tmp_path, CPU)
    assert trainer.run() is Outcome.DONE
    assert trainer.rollbacks == 1
    assert trainer.recipe.learning_rate_scale == 0.5
    assert all(tensor.isfinite().all() for tensor in trainer.ema.state_dict().values())


def test_a_nan_that_comes_back_stops_the_run_naming_loss_and_step(tmp_path, monkeypatch) -> None:
    inject_nan(monkeypatch, step=7, times=2)
    trainer = Trainer(train_config(DCGAN), training_data(DCGAN), training_data(DCGAN), tmp_path, CPU)
    with pytest.raises(UnhealthyError, match=r"loss/\w+ is nan at step 7"):
        trainer.run()
    assert not (tmp_path / "bundle").exists()


def test_a_resumed_run_remembers_that_it_was_rolled_back(tmp_path, monkeypatch) -> None:
    inject_nan(monkeypatch, step=7, times=1)
    config, images = train_config(DCGAN), training_data(DCGAN)
    first = Trainer(config, images, images, tmp_path, CPU)
    first.run(lambda: first.rollbacks == 1 and first.step == 9)
    second = Trainer(config, images, images, tmp_path, CPU)
    assert (second.step, second.rollbacks, second.recipe.learning_rate_scale) == (9, 1, 0.5)


def test_the_first_bad_value_of_a_stretch_of_steps_is_named() -> None:
    monitor = HealthMonitor()
    for step, value in enumerate([1.0, float("inf"), float("nan")], start=1):
        monitor.report(step, {"loss/generator": torch.tensor(1.0), "loss/discriminator": torch.tensor(value)})
    with pytest.raises(UnhealthyError, match="loss/discriminator is inf at step 2"):
        monitor.check()


def test_weights_that_are_not_finite_are_not_kept() -> None:
    network = torch.nn.Linear(2, 2)
    check_weights({"generator": network}, 1)
    network.weight.data[0, 0] = float("inf")
    with pytest.raises(UnhealthyError, match=r"weights of the generator .* step 2"):
        check_weights({"generator": network}, 2)
