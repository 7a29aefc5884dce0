"""Recipes learn, repeat themselves, and carry all their state."""

import copy

import pytest
import torch

from gan_models.images.pixels import to_float
from gan_models.images.randomness import random_for
from gan_models.recipes import build_generator, build_recipe
from gan_models.recipes.base import Batch, Recipe
from gan_models.recipes.gradients import gradient_norm
from tests.support.training_runs import DCGAN, RESTORE, image_set, train_config


def batch_of(recipe: dict[str, object], num: int = 16) -> Batch:
    images = image_set(recipe, num)
    return Batch(to_float(images.images)[..., :16, :16].contiguous(), images.labels)


def train(recipe: Recipe, batch: Batch, steps: range, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    return [recipe.training_step(batch, step, random_for("test", seed, step)) for step in steps]


@pytest.mark.learning
def test_restoration_error_goes_down_in_thirty_steps(seed: int) -> None:
    section = {**RESTORE, "adversarial_from": 1, "learning_rate": 0.01}
    recipe = build_recipe(train_config(section, steps=60, seed=seed), 0)
    batch = batch_of(RESTORE)
    losses = [
        recipe.training_step(batch, step, random_for("same", seed))["loss/reconstruction"] for step in range(1, 31)
    ]
    assert losses[-1] < losses[0] - 1  # decibel


@pytest.mark.learning
def test_dcgan_learns_the_shade_of_each_label_in_sixty_steps(seed: int) -> None:
    recipe = build_recipe(train_config({**DCGAN, "width": 8, "learning_rate": 0.003}, steps=120, seed=seed), 2)
    train(recipe, batch_of(DCGAN), range(1, 61), seed)
    images = recipe.generator(torch.randn(64, 8), torch.arange(64) % 2)
    dark, light = images[::2].mean(), images[1::2].mean()
    assert light - dark > 0.4


@pytest.mark.parametrize("loss", ["non_saturating", "lsgan", "hinge", "relativistic"])
@pytest.mark.parametrize("norm", ["none", "spectral", "batch"])
@pytest.mark.parametrize("augment", ["none", "diffaugment", "adaptive"])
def test_every_variant_of_dcgan_steps_with_finite_values(loss, norm, augment) -> None:
    section = {**DCGAN, "loss": loss, "discriminator_norm": norm, "augment": augment}
    recipe = build_recipe(train_config(section), 2)
    for values in train(recipe, batch_of(DCGAN), range(1, 3)):
        assert all(value.isfinite() and not value.requires_grad for value in values.values())
        assert {"loss/generator", "loss/discriminator"} <= values.keys()


def test_dcgan_without_labels_is_unconditional() -> None:
    recipe = build_recipe(train_config(DCGAN), 0)
    train(recipe, Batch(batch_of(DCGAN).images, None), range(1, 2))
    assert recipe.generator(torch.randn(3, 8), None).shape == (3, 1, 16, 16)


def test_adversarial_terms_begin_when_the_config_says() -> None:
    recipe = build_recipe(train_config({**RESTORE, "adversarial_from": 0.5}, steps=4), 0)
    values = train(recipe, batch_of(RESTORE), range(1, 5))
    assert ["loss/discriminator" in step for step in values] == [False, False, True, True]


@pytest.mark.parametrize("section", [DCGAN, RESTORE])
def test_the_same_seed_gives_the_same_networks_and_another_seed_others(section) -> None:
    first, same, other = (
        next(build_recipe(train_config(section, seed=seed), 2).generator.parameters()) for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_building_a_recipe_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    build_recipe(train_config(DCGAN), 2)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("section", [DCGAN, RESTORE])
def test_state_carries_all_that_the_next_step_depends_on(section) -> None:
    batch = batch_of(section)
    first = build_recipe(train_config(section), 2)
    train(first, batch, range(1, 9))
    second = build_recipe(train_config(section, seed=9), 2)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    (expected,), (values,) = train(first, batch, range(9, 10)), train(second, batch, range(9, 10))
    assert all(torch.equal(values[name], expected[name]) for name in expected)


@pytest.mark.parametrize("section", [DCGAN, RESTORE])
def test_previews_are_pictures_with_finite_values(section) -> None:
    recipe = build_recipe(train_config(section), 2)
    preview = recipe.preview(recipe.generator.eval(), batch_of(section), random_for("preview"))
    assert preview.picture.dtype == torch.uint8
    assert preview.picture.shape == ((1, 128, 32) if section is DCGAN else (3, 48, 128))
    assert all(isinstance(value, float) for value in preview.values.values())


def test_diversity_is_zero_for_a_generator_that_ignores_its_latents() -> None:
    recipe = build_recipe(train_config(DCGAN), 2)

    class Constant(torch.nn.Module):
        def forward(self, latents, labels):
            return torch.ones(len(latents), 1, 16, 16)

    values = recipe.preview(Constant(), batch_of(DCGAN), random_for(0))
    assert values.values["health/diversity"] == 0


def test_learning_rates_end_near_zero() -> None:
    for section in (DCGAN, RESTORE):
        recipe = build_recipe(train_config(section, steps=1000), 2)
        rates = [recipe.learning_rate(step, "generator") for step in (500, 990, 1000)]
        assert rates[0] > 10 * rates[1] > 10 * rates[2] >= 0


def test_the_generator_of_a_config_fits_the_recipes_weights() -> None:
    for section, task in ((DCGAN, "generate"), (RESTORE, "restore")):
        config = train_config(section)
        weights = build_recipe(config, 2).generator.state_dict()
        build_generator(config.recipe, config.image, 2).load_state_dict(weights)
        assert config.recipe.task == task


def test_gradient_norm_is_that_of_all_gradients_together() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
    for parameter, gradient in zip(parameters, ([3.0, 0.0], [0.0, 4.0]), strict=True):
        parameter.grad = torch.tensor(gradient)
    assert gradient_norm(parameters).item() == pytest.approx(5)
