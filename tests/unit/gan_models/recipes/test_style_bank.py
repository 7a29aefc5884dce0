"""On tiny images: what the recipe does, not how well it paints."""

from typing import Any

import pytest
import torch

from gan_models.config import TrainConfig
from gan_models.images.randomness import Share, random_for
from gan_models.networks.feature_network import load_feature_network
from gan_models.networks.style_bank import StyleBank
from gan_models.recipes import build_generator, build_recipe
from gan_models.recipes.base import Batch
from tests.support.checked import of_type

SECTION: dict[str, Any] = {
    "image": {"size": 16, "channels": 3, "fit": "crop"},
    "recipe": {"name": "style_bank", "width": 4, "discriminator_width": 4, "learning_rate": 0.005, "r1_every": 2},
    "steps": 30,
    "batch_size": 8,
}


def config(**recipe):
    return TrainConfig.model_validate({**SECTION, "recipe": {**SECTION["recipe"], **recipe}})


def batch(num=8):
    """Gray blobs to paint, and red and blue blobs to paint them like."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(2 * num, 1, 4, 4, generator=random) - 0.5
    blobs = torch.nn.functional.interpolate(coarse, size=(16, 16), mode="bilinear")
    labels = torch.arange(num) % 2
    colors = torch.tensor([[0.6, -0.6, -0.6], [-0.6, -0.6, 0.6]])[labels].view(num, 3, 1, 1)
    return Batch(blobs[:num].expand(-1, 3, -1, -1).contiguous(), None, blobs[num:] / 2 + colors, labels)


def trained(steps, **recipe):
    made = build_recipe(config(**recipe), num_labels=2)
    values = [made.training_step(batch(), step, random_for(0, "step", step)) for step in range(1, steps + 1)]
    return made, values


@pytest.mark.learning
def test_it_learns_to_paint_in_each_style(seed):
    section = {**SECTION, "steps": 60, "batch_size": 16, "seed": seed}
    recipe, images = build_recipe(TrainConfig.model_validate(section), num_labels=2), batch(16)
    # Which image is given which style is the same in every step, so that losses are of the same thing.
    losses = [recipe.training_step(images, step, random_for("same", seed))["loss/style"] for step in range(1, 61)]
    assert losses[-1] < 0.7 * losses[0]
    network = of_type(StyleBank, recipe.generator.eval())
    with torch.no_grad():
        red, blue = (network(images.images, network.learned_styles(torch.full((16,), style))) for style in (0, 1))
    towards_red = (red - blue).mean(dim=(0, 2, 3))
    assert towards_red[0] > 0.2
    assert towards_red[2] < -0.2


def test_alpha_goes_from_the_photograph_itself_to_all_of_the_style():
    recipe, _ = trained(2)
    network, images = recipe.generator, batch().images
    with torch.no_grad():
        style = network.style_of(batch().targets)
        none, half, full = (network(images, style, alpha) for alpha in (0.0, 0.5, 1.0))
    assert torch.equal(none, images)
    torch.testing.assert_close(half, (images + full) / 2)
    assert (full - images).abs().mean() > 1e-4


def test_the_encoder_is_part_of_the_network_and_does_not_learn():
    recipe, _ = trained(3)
    weights = load_feature_network("efficientnet_lite0").state_dict()
    for name, tensor in recipe.generator.encoder.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_the_network_is_rebuilt_without_pretrained_weights_and_then_filled():
    recipe, _ = trained(1)
    rebuilt = build_generator(recipe.config.recipe, recipe.config.image, 2)
    rebuilt.load_state_dict(recipe.generator.state_dict())
    images, style = batch().images, torch.ones(8, of_type(StyleBank, rebuilt).style_size)
    torch.testing.assert_close(rebuilt(images, style), recipe.generator(images, style))
    assert recipe.config.recipe.task == "stylize"


def test_without_an_adversarial_weight_there_is_no_discriminator():
    recipe, values = trained(2, adversarial_weight=0)
    assert set(recipe.networks) == {"generator"}
    assert not any("discriminator" in name for name in values[-1])


def test_paintings_without_labels_are_one_style():
    recipe = build_recipe(config(), num_labels=0)
    unlabeled = batch()._replace(target_labels=None)
    values = recipe.training_step(unlabeled, 1, random_for(0, "step", 1))
    assert all(value.isfinite() for value in values.values())
    assert of_type(StyleBank, recipe.generator).styles.shape[0] == 1
    recipe.preview(recipe.generator, unlabeled, random_for(0, "preview"))


def test_losses_of_equal_shares_average_to_those_of_the_whole_batch():
    whole = batch()
    values = build_recipe(config(), 2).training_step(whole, 1, random_for(0, "step", 1))
    halves = []
    for index in (0, 1):
        part = whole._replace(**{name: x[4 * index :][:4] for name, x in whole._asdict().items() if x is not None})
        random = random_for(0, "step", 1, share=Share(index, 2))
        halves.append(build_recipe(config(), 2).training_step(part, 1, random))
    for name in ("content", "style", "identity", "total_variation", "bank", "discriminator"):
        mean = (halves[0][f"loss/{name}"] + halves[1][f"loss/{name}"]) / 2
        torch.testing.assert_close(mean, values[f"loss/{name}"], rtol=1e-4, atol=1e-6)


def test_a_preview_has_a_column_for_the_photograph_and_one_per_style():
    recipe, _ = trained(3)
    picture, values = recipe.preview(recipe.generator.eval(), batch(), random_for(0, "preview"))
    assert picture.shape == (3, 3 * 16, 3 * 16)
    assert values["health/style_spread"] > 0


def test_a_size_that_the_encoder_cannot_halve_is_refused():
    with pytest.raises(ValueError, match="multiples of 8"):
        TrainConfig.model_validate({**SECTION, "image": {"size": 20}})
