"""Runs that go wrong are rolled back, at most as often as the config says, then stopped."""

import pytest
import torch

from gan_models.config import HealthConfig
from gan_models.recipes import build_recipe
from gan_models.recipes.dcgan import DcganRecipe
from gan_models.training.health import (
    CollapseWatch,
    HealthMonitor,
    UnhealthyError,
    check_weights,
    real_diversity,
    saturates,
)
from gan_models.training.loop import Outcome, Trainer
from tests.support.checked import present
from tests.support.training_runs import DCGAN, RECIPES, image_set, train_config, training_data

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
    assert len(trainer.rollbacks) == 1
    assert trainer.recipe.learning_rate_scale == 0.5
    assert all(tensor.isfinite().all() for tensor in trainer.ema.state_dict().values())


def test_a_nan_that_comes_back_stops_the_run_naming_loss_and_step(tmp_path, monkeypatch) -> None:
    inject_nan(monkeypatch, step=7, times=3)
    trainer = Trainer(train_config(DCGAN), training_data(DCGAN), training_data(DCGAN), tmp_path, CPU)
    with pytest.raises(UnhealthyError, match=r"loss/\w+ is nan at step 7; it was rolled back 2 times before"):
        trainer.run()
    assert not (tmp_path / "bundle").exists()


def test_before_the_first_checkpoint_a_run_goes_back_to_its_start(tmp_path, monkeypatch) -> None:
    inject_nan(monkeypatch, step=2, times=1)
    trainer = Trainer(train_config(DCGAN), training_data(DCGAN), training_data(DCGAN), tmp_path, CPU)
    assert trainer.run() is Outcome.DONE
    assert [(entry["step"], entry["to"]) for entry in trainer.rollbacks.entries] == [(2, 0)]


def test_what_goes_wrong_twice_from_one_checkpoint_is_taken_up_one_further_back(tmp_path, monkeypatch) -> None:
    inject_nan(monkeypatch, step=10, times=2)
    trainer = Trainer(train_config(DCGAN), training_data(DCGAN), training_data(DCGAN), tmp_path, CPU)
    assert trainer.run() is Outcome.DONE
    assert [entry["to"] for entry in trainer.rollbacks.entries] == [8, 4]
    assert trainer.recipe.learning_rate_scale == 0.25


def test_no_checkpoint_is_kept_of_an_unhealthy_state(tmp_path, monkeypatch) -> None:
    inject_nan(monkeypatch, step=7, times=1)
    config = train_config(DCGAN, checkpoint_every=7, log_every=50, health={"rollbacks": 0})
    trainer = Trainer(config, training_data(DCGAN), training_data(DCGAN), tmp_path, CPU)
    with pytest.raises(UnhealthyError):
        trainer.run()
    assert [path.name for path in (tmp_path / "checkpoints").glob("*.pt")] == ["step-000000.pt"]


def test_a_resumed_run_remembers_that_it_was_rolled_back(tmp_path, monkeypatch) -> None:
    inject_nan(monkeypatch, step=7, times=1)
    config, images = train_config(DCGAN), training_data(DCGAN)
    first = Trainer(config, images, images, tmp_path, CPU)
    first.run(lambda: len(first.rollbacks) == 1 and first.step == 9)
    second = Trainer(config, images, images, tmp_path, CPU)
    assert (second.step, len(second.rollbacks), second.recipe.learning_rate_scale) == (9, 1, 0.5)


def test_a_rollback_is_remembered_by_a_run_that_is_killed_right_after_it(tmp_path, monkeypatch) -> None:
    inject_nan(monkeypatch, step=7, times=1)
    config, images = train_config(DCGAN), training_data(DCGAN)
    first = Trainer(config, images, images, tmp_path, CPU)
    first.run(lambda: len(first.rollbacks) == 1)
    second = Trainer(config, images, images, tmp_path, CPU)
    assert (second.step, len(second.rollbacks), second.recipe.learning_rate_scale) == (4, 1, 0.5)


def collapse(monkeypatch: pytest.MonkeyPatch, step: int, times: int) -> None:
    """Makes the generator answer every latent with one gray, after `step`, as often as `times`."""
    original, left = DcganRecipe.training_step, [times]

    def collapsing(self, batch, at, random):
        values = original(self, batch, at, random)
        if at == step and left[0]:
            left[0] -= 1
            for parameter in self.generator.parameters():
                parameter.data.zero_()
        return values

    monkeypatch.setattr(DcganRecipe, "training_step", collapsing)


EARLY = {"warm_up": 0.0, "warm_up_steps": 0, "min_diversity": 1e-6}  # after six steps, a generator has learned little


def test_a_generator_that_collapses_is_rolled_back_and_recovers(tmp_path, monkeypatch) -> None:
    collapse(monkeypatch, step=6, times=1)
    config, images = train_config(DCGAN, ema_half_life_images=0, health=EARLY), training_data(DCGAN)
    trainer = Trainer(config, images, images, tmp_path, CPU)
    assert trainer.run() is Outcome.DONE
    (entry,) = trainer.rollbacks.entries
    assert (entry["step"], entry["to"]) == (6, 4)
    assert "the generator has collapsed" in entry["reason"]


def test_a_collapse_between_two_pictures_is_seen_before_a_checkpoint_is_written(tmp_path, monkeypatch) -> None:
    collapse(monkeypatch, step=7, times=1)
    health = {**EARLY, "rollbacks": 0}
    config, images = train_config(DCGAN, ema_half_life_images=0, sample_every=50, health=health), training_data(DCGAN)
    with pytest.raises(UnhealthyError, match="collapsed: at step 8"):
        Trainer(config, images, images, tmp_path, CPU).run()
    assert sorted(path.name for path in (tmp_path / "checkpoints").glob("*.pt")) == ["step-000000.pt", "step-000004.pt"]


def test_a_learning_rate_that_drives_a_generator_into_saturation_is_caught(tmp_path) -> None:
    recipe = {**DCGAN, "learning_rate": 30.0, "schedule": "constant", "r1_gamma": 0}
    config, images = train_config(recipe, steps=40, health={**EARLY, "min_diversity": 0.05}), training_data(DCGAN)
    with pytest.raises(UnhealthyError, match="rolled back 2 times before"):
        Trainer(config, images, images, tmp_path, CPU).run()
    assert not (tmp_path / "bundle").exists()


def test_diversity_is_not_judged_before_the_warm_up_is_over() -> None:
    watch = CollapseWatch(HealthConfig(min_diversity=0.1, warm_up=0.5, warm_up_steps=0), 100, real_diversity=0.2)
    watch.look(50, {"health/diversity": 0.01})
    watch.look(51, {"health/diversity": 0.021})
    with pytest.raises(UnhealthyError, match=r"diversity of its images is 0.019, that of the training images is 0.2"):
        watch.look(51, {"health/diversity": 0.019})


def test_a_discriminator_that_is_perfect_for_long_is_unhealthy_and_one_lapse_forgives_it() -> None:
    watch = CollapseWatch(HealthConfig(max_discriminator_accuracy=0.99, patience=3), 100, real_diversity=0.2)
    perfect = {"health/discriminator_accuracy_real": 1.0, "health/discriminator_accuracy_fake": 0.995}
    for values in (perfect, perfect, {**perfect, "health/discriminator_accuracy_fake": 0.98}, {}, perfect, perfect):
        watch.look(1, values)
    with pytest.raises(UnhealthyError, match=r"nothing to learn: at step 9 .* accuracy 0.99 for 3 logged steps"):
        watch.look(9, perfect)


def test_a_discriminator_is_not_judged_where_the_config_switches_it_off_or_the_recipe_reports_none() -> None:
    perfect = {"health/discriminator_accuracy_real": 1.0, "health/discriminator_accuracy_fake": 1.0}
    CollapseWatch(HealthConfig(max_discriminator_accuracy=None, patience=1), 100, 0.2).look(1, perfect)
    CollapseWatch(HealthConfig(patience=1), 100, 0.2).look(1, {"health/discriminator_accuracy_real": 1.0})
    CollapseWatch(HealthConfig(patience=1), 100, 0.2, judges_accuracy=False).look(1, perfect)


@pytest.mark.parametrize(("name", "expected"), [("dcgan", True), ("wgan_gp", False), ("r3gan", False), ("vae", False)])
def test_losses_that_go_on_pulling_may_have_a_perfect_discriminator(name: str, expected: bool) -> None:
    assert saturates(build_recipe(train_config(RECIPES[name]), 2)) is expected


def test_the_diversity_of_real_images_is_within_a_label_for_conditional_models() -> None:
    images = image_set(DCGAN)  # two shades far apart, each with some noise
    assert 0 < real_diversity(images, conditional=True) < 0.5 * real_diversity(images, conditional=False)


def test_real_images_pass_for_as_diverse_as_themselves() -> None:
    images = image_set(DCGAN, num=160)
    shown = images.images[present(images.labels).argsort(stable=True)].reshape(2, 80, -1).float() / 255
    assert real_diversity(images, conditional=True) == pytest.approx(shown.std(dim=1).mean().item(), rel=0.1)


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
