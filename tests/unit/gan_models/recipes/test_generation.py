"""The recipes that draw images learn, follow their schedules, and tell how they are."""

import copy

import pytest
import torch
from pydantic import ValidationError

from gan_models.images.pixels import to_float
from gan_models.images.randomness import random_for
from gan_models.networks.r3gan_blocks import Resample, ResidualBlock, stage_widths
from gan_models.networks.vae import Vae
from gan_models.recipes import build_recipe
from gan_models.recipes.base import Batch, Recipe
from gan_models.recipes.dcgan import DcganRecipe
from gan_models.recipes.r3gan import R3ganRecipe
from tests.support.checked import of_type
from tests.support.training_runs import DCGAN, R3GAN, VAE, WGAN_GP, image_set, train_config

EACH = pytest.mark.parametrize("section", [DCGAN, WGAN_GP, R3GAN, VAE], ids=lambda section: section["name"])


def batch_of(num: int = 16) -> Batch:
    images = image_set(DCGAN, num)
    return Batch(to_float(images.images), images.labels)


def train(recipe: Recipe, steps: range, batch: Batch | None = None, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    return [recipe.training_step(batch or batch_of(), step, random_for("test", seed, step)) for step in steps]


@EACH
def test_health_is_reported_by_each_step_and_diversity_by_each_preview(section) -> None:
    recipe = build_recipe(train_config(section), 2)
    (values,) = train(recipe, range(1, 2))
    expected = {"health/gradient_norm_generator"}
    if section is not VAE:
        expected |= {f"health/discriminator_accuracy_{kind}" for kind in ("real", "fake")}
        expected |= {"health/gradient_norm_discriminator"}
    assert expected <= values.keys()
    assert all(value.isfinite() and value.ndim == 0 and not value.requires_grad for value in values.values())
    preview = recipe.preview(recipe.generator.eval(), batch_of(), random_for("preview"))
    assert preview.picture.shape == (1, 128, 32)
    assert preview.values.keys() == {"health/diversity"}


@EACH
def test_without_labels_in_the_data_or_in_the_config_it_is_unconditional(section) -> None:
    for changes, num_labels, labels in (({}, 0, None), ({"conditional": False}, 2, batch_of().labels)):
        recipe = build_recipe(train_config({**section, **changes}), num_labels)
        train(recipe, range(1, 3), Batch(batch_of().images, labels))
        assert recipe.generator(torch.randn(3, 8), None).shape == (3, 1, 16, 16)


@pytest.mark.parametrize(
    ("section", "steps"),
    [
        ({**WGAN_GP, "learning_rate": 0.005}, 60),
        ({**R3GAN, "learning_rate": 0.01, "gamma": 0.1}, 60),
        ({**VAE, "learning_rate": 0.01}, 40),
    ],
    ids=["wgan_gp", "r3gan", "vae"],
)
@pytest.mark.learning
def test_it_learns_the_shade_of_each_label(section, steps, seed) -> None:
    recipe = build_recipe(train_config(section, steps=2 * steps, seed=seed), 2)
    train(recipe, range(1, steps + 1), seed=seed)
    images = recipe.generator(torch.randn(64, 8), torch.arange(64) % 2)
    assert images[1::2].mean() - images[::2].mean() > 0.4


def test_adaptive_augmentation_rises_while_the_discriminator_is_sure_and_falls_when_it_is_not() -> None:
    config = train_config({**DCGAN, "augment": "adaptive", "augment_images": 80})
    recipe = of_type(DcganRecipe, build_recipe(config, 2))
    sure, unsure = torch.full((8,), 5.0), torch.full((8,), -5.0)
    seen = []
    for logits in (sure, sure, unsure, unsure, unsure):
        recipe.observe(logits, -sure)
        seen.append(recipe.augment_probability.item())
    assert seen == pytest.approx([0.1, 0.2, 0.1, 0.0, 0.0])


def test_the_probability_of_augmentation_is_part_of_the_state() -> None:
    section = {**DCGAN, "augment": "adaptive", "augment_images": 20}
    first, second = (of_type(DcganRecipe, build_recipe(train_config(section, seed=seed), 2)) for seed in (0, 1))
    first.observe(torch.full((8,), 5.0), torch.full((8,), -5.0))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert second.augment_probability == pytest.approx(0.4)
    (expected,), (values,) = train(first, range(9, 10)), train(second, range(9, 10))
    assert all(torch.equal(values[name], expected[name]) for name in expected)


@pytest.mark.parametrize("section", [DCGAN, R3GAN], ids=lambda section: section["name"])
def test_a_lazy_penalty_comes_every_few_steps_with_as_much_more_weight(section) -> None:
    recipe = build_recipe(train_config({**section, "penalty_every": 3}), 2)
    assert ["loss/r1_penalty" in values for values in train(recipe, range(1, 7))] == [False, False, True] * 2


def test_penalties_are_those_that_have_a_weight() -> None:
    for gammas in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)):
        section = {**DCGAN, "r1_gamma": gammas[0], "r2_gamma": gammas[1]}
        (values,) = train(build_recipe(train_config(section), 2), range(1, 2))
        assert [f"loss/r{number}_penalty" in values for number in (1, 2)] == [gamma > 0 for gamma in gammas]


def test_r3gan_goes_from_loose_to_smooth_over_the_burn_in() -> None:
    section = {**R3GAN, "burn_in": 0.5, "augment_probability": 0.4, "gamma": 2.0}
    recipe = build_recipe(train_config(section, steps=1001), 2)
    seen = []
    for step in (1, 251, 501, 1001):
        recipe.set_learning_rates(step)
        group = recipe.optimizers["discriminator"].param_groups[0]
        seen.append((*of_type(R3ganRecipe, recipe).gammas(step), group["betas"][1], group["lr"]))
    assert [gamma for gamma, _, _, _ in seen] == pytest.approx([2.0, 1.1, 0.2, 0.2], rel=1e-2)
    assert all(r1 == r2 for r1, r2, _, _ in seen)
    assert [beta2 for _, _, beta2, _ in seen] == pytest.approx([0.9, 0.945, 0.99, 0.99], rel=1e-3)
    assert seen[0][3] == pytest.approx(2e-4)
    assert seen[3][3] == pytest.approx(5e-5, rel=1e-3)


def test_gamma_left_out_starts_from_size_and_batch() -> None:
    recipe = of_type(R3ganRecipe, build_recipe(train_config({**R3GAN, "gamma": None}, batch_size=8), 2))
    assert recipe.gammas(1)[0] == pytest.approx(0.0002 * 16**2 / 8)


def test_groups_that_do_not_divide_the_widths_are_refused() -> None:
    with pytest.raises(
        ValidationError, match=r"group_width 16 has to divide twice width \(24\) and finest_width \(12\)"
    ):
        train_config({**R3GAN, "width": 24, "finest_width": 12, "group_width": 16})


@EACH
def test_sizes_that_are_no_power_of_two_are_refused(section) -> None:
    with pytest.raises(ValidationError, match=r"power of two, and image\.size is 24"):
        train_config(section, image={"size": 24, "channels": 1})


def test_a_tanh_keeps_what_r3gan_draws_within_the_range_of_images() -> None:
    for output, is_bounded in (("linear", False), ("tanh", True)):
        generator = build_recipe(train_config({**R3GAN, "output": output}), 2).generator
        images = generator(50 * torch.randn(8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2)
        assert (images.abs().max() <= 1) == is_bounded


def test_residual_blocks_begin_as_the_identity() -> None:
    images = torch.randn(2, 8, 6, 6)
    assert torch.equal(ResidualBlock(8, num_blocks=4, group_width=4)(images), images)


def test_the_bilinear_filter_keeps_flat_images_and_doubles_ramps_into_ramps() -> None:
    down, up = Resample(2, 2, is_up=False), Resample(2, 2, is_up=True)
    ramp = torch.arange(8.0).expand(1, 2, 8, 8)
    torch.testing.assert_close(up(ramp)[0, 0, 3, :15], torch.arange(15) / 2)
    torch.testing.assert_close(up(torch.ones(1, 2, 4, 4)), torch.ones(1, 2, 8, 8))
    torch.testing.assert_close(down(ramp)[0, 0, 2, 1:], torch.arange(2.0, 8, 2))


def test_widths_double_towards_coarse_resolutions_up_to_the_widest() -> None:
    assert stage_widths(256, width=768, finest_width=96) == [768, 768, 768, 768, 384, 192, 96]
    assert stage_widths(32, width=768, finest_width=768) == [768] * 4


@pytest.mark.learning
def test_a_vae_copies_images_better_than_it_did_and_knows_how_well(seed) -> None:
    recipe = build_recipe(train_config({**VAE, "learning_rate": 0.01, "width": 8}, steps=200, seed=seed), 2)
    values = train(recipe, range(1, 61), seed=seed)
    assert values[-1]["loss/reconstruction"] < values[0]["loss/reconstruction"] - 50
    vae, batch = of_type(Vae, recipe.generator.eval()), batch_of()
    with torch.no_grad():
        mean, log_variance = vae.encode(batch.images, batch.labels)
        copies = vae(mean, batch.labels)
    assert mean.shape == log_variance.shape == (16, 8)
    assert (copies - batch.images).square().mean() < batch.images.var() / 4
    assert vae.log_deviation < -1
