"""The restore recipe: whose turn each degradation is, equal losses however a batch is shared, and its terms."""

import pytest
import torch

from gan_models.config import ConfigError, RestoreConfig, TrainConfig, validate
from gan_models.images.pixels import to_float
from gan_models.images.randomness import Share, random_for
from gan_models.recipes import build_recipe
from gan_models.recipes.base import Batch
from gan_models.recipes.restore import RestoreRecipe
from tests.support.checked import of_type
from tests.support.training_runs import RESTORE, image_set, train_config, train_section

FOUR = [{"kind": "denoise"}, {"kind": "inpaint"}, {"kind": "super_resolution", "factor": 2}, {"kind": "deblur"}]


def images_of(num: int) -> torch.Tensor:
    return to_float(image_set(RESTORE, num).images)[..., :16, :16].contiguous()


@pytest.mark.parametrize("num", [8, 6])
def test_two_shares_of_a_batch_are_degraded_as_the_whole_is(num) -> None:
    config = train_config({**RESTORE, "degradations": FOUR, "shares": [2, 1, 1, 1]}, batch_size=num)
    recipe = of_type(RestoreRecipe, build_recipe(config, 0))
    images = images_of(num)
    whole = recipe.degrade(images, 3, random_for("step"))
    halves = [
        recipe.degrade(part, 3, random_for("step", share=Share(index, 2))) for index, part in enumerate(images.chunk(2))
    ]
    assert torch.equal(whole.images, torch.cat([half.images for half in halves]))
    assert torch.equal(whole.mask, torch.cat([half.mask for half in halves]))


def test_losses_are_means_over_images_so_that_the_mean_over_shares_is_that_of_the_whole() -> None:
    section = {**RESTORE, "degradations": FOUR, "adversarial_from": 0, "ssim_weight": 0.1}
    images = images_of(8)

    def values(part: torch.Tensor, share: Share) -> dict[str, torch.Tensor]:
        recipe = build_recipe(train_config(section, batch_size=8), 0)
        return recipe.training_step(Batch(part, None), 1, random_for("step", share=share))

    whole = values(images, Share())
    halves = [values(part, Share(index, 2)) for index, part in enumerate(images.chunk(2))]
    for name in ("loss/reconstruction", "loss/structural", "loss/discriminator"):
        torch.testing.assert_close((halves[0][name] + halves[1][name]) / 2, whole[name])


def test_every_degradation_gets_its_share_whatever_the_batch_size() -> None:
    degradations = [{"kind": "inpaint"}, {"kind": "watermark"}]
    section = {**RESTORE, "degradations": degradations, "shares": [1, 2]}
    recipe = of_type(RestoreRecipe, build_recipe(train_config(section, batch_size=4), 0))
    masks = [recipe.degrade(images_of(4), step, random_for("step", step)).mask for step in range(1, 4)]
    with_hole = torch.cat(masks).flatten(1).any(1)
    assert with_hole.tolist() == [place % 3 == 0 for place in range(12)]


def test_shares_that_do_not_fit_the_degradations_are_refused() -> None:
    for shares, message in (([1], "2 degradations"), ([1, 0], "greater than or equal to 1")):
        with pytest.raises(ConfigError, match=message):
            validate(RestoreConfig, {**RESTORE, "shares": shares}, "recipe")


def test_sizes_that_the_network_cannot_halve_are_refused() -> None:
    section = {**train_section({**RESTORE, "blocks": [1, 1, 1]}), "image": {"size": 18}}
    with pytest.raises(ConfigError, match="multiples of 4"):
        validate(TrainConfig, section, "train")


def test_the_perceptual_term_joins_the_others_and_its_network_is_not_saved() -> None:
    section = {**RESTORE, "perceptual_weight": 0.1, "adversarial_from": 0}
    recipe = build_recipe(train_config(section, batch_size=2), 0)
    values = recipe.training_step(Batch(images_of(2), None), 1, random_for("step"))
    assert values["loss/perceptual"] >= 0
    assert set(recipe.state_dict()["networks"]) == {"generator", "discriminator"}
