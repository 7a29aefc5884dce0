"""The translating recipes learn, and do what their papers say."""

import copy

import pytest
import torch

from gan_models.config import ConfigError, CutConfig, TrainConfig, recipe_config, validate
from gan_models.images.pixels import make_grid, to_float
from gan_models.images.randomness import Share, random_for
from gan_models.networks.patch_discriminator import PatchDiscriminator
from gan_models.networks.pix2pix_unet import Pix2PixUNet
from gan_models.networks.resnet_generator import ResnetGenerator
from gan_models.recipes import build_recipe
from gan_models.recipes.base import Batch
from gan_models.recipes.fake_pool import FakePool
from gan_models.recipes.pix2pix import Pix2PixRecipe
from tests.support.checked import of_type, present
from tests.support.training_runs import CUT, CYCLEGAN, PAIRS, PIX2PIX, train_config, train_section, training_data

SECTIONS = {
    "edges to image": PIX2PIX,
    "gray to image": {**PIX2PIX, "input": "gray", "upsample": "nearest", "discriminator_norm": "spectral"},
    "image to tones": {**PIX2PIX, "input": "image", "target": "tones", "adversarial_weight": 0},
    "pairs": PAIRS,
    "cyclegan": CYCLEGAN,
    "cyclegan, antialiased": {**CYCLEGAN, "antialias": True, "residual": True, "pool_size": 0, "loss": "hinge"},
    "cut": CUT,
    "fastcut": {**CUT, "fast": True, "antialias": False},
}


def batch_of(section: dict[str, object], num: int = 8) -> Batch:
    data = training_data(section, num)
    images = to_float(data.images.images)[..., :16, :16]
    targets = None if data.targets is None else to_float(data.targets.images)[..., :16, :16]
    return Batch(images, None, targets, None)


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)
def test_every_variant_steps_with_finite_values_and_moves_every_network(section) -> None:
    recipe, batch = build_recipe(train_config(section), 0), batch_of(section)
    before = {name: copy.deepcopy(network.state_dict()) for name, network in recipe.networks.items()}
    for step in (1, 2):
        values = recipe.training_step(batch, step, random_for("test", step))
        assert all(value.isfinite() and not value.requires_grad for value in values.values())
        assert {"loss/generator", "health/gradient_norm_generator"} <= values.keys()
    for name, network in recipe.networks.items():
        assert any(not torch.equal(tensor, before[name][key]) for key, tensor in network.state_dict().items()), name
    preview = recipe.preview(recipe.generator.eval(), batch, random_for("preview"))
    assert preview.picture.shape == (3, 16 * (6 if section["name"] == "cyclegan" else 3), 16 * 8)
    assert preview.values["health/diversity"] >= 0


@pytest.mark.learning
def test_pix2pix_gets_nearer_to_its_targets_in_forty_steps(seed) -> None:
    recipe = build_recipe(
        train_config({**PIX2PIX, "input": "gray", "width": 8, "learning_rate": 0.003}, steps=80, seed=seed), 0
    )
    batch = batch_of(PIX2PIX)
    losses = [recipe.training_step(batch, step, random_for(seed, step))["loss/l1"] for step in range(1, 41)]
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.learning
def test_cyclegan_learns_the_way_back_in_forty_steps(seed) -> None:
    recipe = build_recipe(train_config({**CYCLEGAN, "learning_rate": 0.003}, steps=80, seed=seed), 0)
    batch = batch_of(CYCLEGAN)
    cycles = [recipe.training_step(batch, step, random_for(seed, step))["loss/cycle"] for step in range(1, 41)]
    assert cycles[-1] < 0.75 * cycles[0]


@pytest.mark.learning
def test_cut_learns_to_recognize_patches_in_forty_steps(seed) -> None:
    recipe = build_recipe(train_config({**CUT, "learning_rate": 0.003}, steps=80, seed=seed), 0)
    batch = batch_of(CUT)
    losses = [recipe.training_step(batch, step, random_for(seed, step))["loss/contrast"] for step in range(1, 41)]
    assert losses[-1] < 0.8 * losses[0]


def test_features_met_while_translating_are_those_of_encoding() -> None:
    generator = ResnetGenerator(3, 4, 5, antialias=True)
    images = torch.randn(2, 3, 16, 16)
    met, encoded = generator.translate(images)[1], generator.encode(images)
    assert [feature.shape[1] for feature in met] == list(generator.feature_widths)
    assert all(torch.equal(one, other) for one, other in zip(met, encoded, strict=True))


@pytest.mark.parametrize("antialias", [True, False])
def test_an_image_of_one_color_gives_gradients_that_are_finite(antialias) -> None:
    for weights in range(6):  # how far they grow depends on the weights and on rounding; by reflection most overflow
        torch.manual_seed(weights)
        there, back = (ResnetGenerator(3, 4, 3, antialias=antialias) for _ in range(2))
        with torch.no_grad():
            for parameter in (*there.parameters(), *back.parameters()):
                parameter.add_(0.05)  # as after some steps: nothing is exactly zero
        back(there(torch.full((1, 3, 32, 32), -1.0))).abs().mean().backward()
        norms = torch.stack([present(parameter.grad).norm() for parameter in there.parameters()])
        assert norms.isfinite().all(), weights


def test_a_residual_generator_begins_by_returning_what_it_is_given() -> None:
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    begins = ResnetGenerator(3, 8, 2, antialias=True, residual=True)(images)
    torch.testing.assert_close(begins, 0.98 * images)


def test_the_pool_fills_first_and_then_gives_back_half_of_older_images() -> None:
    pool = FakePool(3)
    given = []
    for step in range(200):
        new = torch.full((4, 1, 1, 1), float(step))
        out = pool.exchange(new, random_for("pool", step))
        given.append(out)
        assert (out <= step).all()
    assert pool.images is not None
    assert pool.images.shape == (3, 4, 1, 1, 1)
    assert all((given[step] == step).all() for step in range(3))
    older = torch.stack([(out < step).float().mean() for step, out in enumerate(given)][3:]).mean()
    assert 0.4 < older < 0.6
    assert torch.equal(FakePool(0).exchange(new, random_for(0)), new)


def test_two_pools_of_half_a_batch_do_what_one_does() -> None:
    whole, halves = FakePool(2), [FakePool(2), FakePool(2)]
    for step in range(20):
        new = torch.randn(4, 1, 2, 2, generator=torch.Generator().manual_seed(step))
        parts = [
            pool.exchange(new[2 * index :][:2], random_for("pool", step, share=Share(index, 2)))
            for index, pool in enumerate(halves)
        ]
        assert torch.equal(whole.exchange(new, random_for("pool", step)), torch.cat(parts))


def test_dropout_is_drawn_from_the_random_numbers_it_is_given_and_inference_has_none() -> None:
    network = Pix2PixUNet(3, 4, 4, dropout=0.5)
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(network(images, random_for(1)), network(images, random_for(1)))
    assert not torch.equal(network(images, random_for(1)), network(images, random_for(2)))
    assert torch.equal(network(images), network(images))


def test_three_stages_see_seventy_pixels() -> None:
    discriminator = PatchDiscriminator(3, 4, 3, "none", overlapping=True)
    images = torch.zeros(1, 3, 128, 128, requires_grad=True)
    logits = discriminator(images)[0]
    logits[0, 0, 7, 7].backward()
    seen = present(images.grad).abs().sum(dim=(0, 1, 2)) > 0
    assert int(seen.nonzero().max() - seen.nonzero().min()) + 1 == 70


def test_a_discriminator_too_deep_for_the_images_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match="lower discriminator_stages"):
        build_recipe(train_config({**CUT, "discriminator_stages": 3}), 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "pix2pix", "input": "image"}, "both the image"),
        ({"name": "cyclegan", "source_domain": "painting"}, "have to differ"),
        ({"name": "pix2pix", "num_stages": 5}, "multiples of 32"),
        (
            {"name": "pix2pix", "source_domain": "photo"},
            "only 'photo' is named; name the target_domain too, or neither",
        ),
        ({"name": "pix2pix", "target_domain": "map"}, "only 'map' is named; name the source_domain too, or neither"),
        ({**PAIRS, "target_domain": "photo"}, "both 'photo'; they have to differ"),
        (
            {**PAIRS, "input": "edges"},
            "taken as they are, and input is edges; leave input out, or leave the domains out",
        ),
        ({**PAIRS, "target": "tones"}, "target is tones; leave target out, or leave the domains out"),
        ({"name": "cut", "fsat": True}, "did you mean 'fast'"),
    ],
)
def test_configs_that_make_no_sense_are_refused(changes, message) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(TrainConfig, {**train_section(CUT), "recipe": changes}, "train")


def test_a_section_is_read_back_from_what_is_written_of_it() -> None:
    for section in (PAIRS, {**PAIRS, "input": "image", "target": "image"}, PIX2PIX):
        config = recipe_config(section)
        assert recipe_config(config.model_dump(mode="json")) == config


def test_the_targets_of_pairs_are_learned_from_and_shown() -> None:
    recipe, batch = of_type(Pix2PixRecipe, build_recipe(train_config(PAIRS), 0)), batch_of(PAIRS)
    shown = recipe.preview(recipe.generator.eval(), batch, random_for("preview")).picture
    assert torch.equal(shown[:, :16], make_grid(batch.images, 8))
    assert torch.equal(shown[:, 32:], make_grid(present(batch.targets), 8))
    inputs, targets = recipe.pair(batch)
    assert inputs is batch.images
    assert targets is batch.targets


def test_fastcut_weighs_contrast_tenfold_unless_told_otherwise() -> None:
    weights: list[dict[str, object]] = [{}, {"fast": True}, {"fast": True, "contrastive_weight": 3}]
    configs = [of_type(CutConfig, recipe_config({**CUT, **one})) for one in weights]
    assert [config.weight_of_contrast for config in configs] == [1, 10, 3]
