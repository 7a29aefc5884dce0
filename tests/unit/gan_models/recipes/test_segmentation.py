"""pix2pix learns the class of each pixel, and nothing of pixels that are ignored."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy as reference

from gan_models.config import ConfigError, MaskClasses, Pix2PixConfig, TrainConfig, recipe_config, validate
from gan_models.evaluation.metrics.iou import mean_iou, overlaps
from gan_models.images.class_masks import IGNORED, colors_of, legend, maps_of, masks_of, numbers_of
from gan_models.images.pixels import make_grid, to_float, to_uint8
from gan_models.images.randomness import random_for
from gan_models.losses.segmentation import cross_entropy, softened
from gan_models.recipes import build_recipe
from gan_models.recipes.base import Batch
from gan_models.recipes.pix2pix import Pix2PixRecipe
from gan_models.training.memory import bytes_of_activations
from tests.support.checked import of_type, present
from tests.support.mask_scenes import CLASSES, IGNORE, RECIPE, scene
from tests.support.training_runs import MASKS, PAIRS, train_config, train_section

TOLD = MaskClasses(tuple(CLASSES), tuple(CLASSES.values()), IGNORE)


def batch_of(seeds: range) -> tuple[Batch, Tensor]:
    """Scenes as training takes them, and the numbers of their classes, uint8 [N, 32, 32]."""
    made = [scene(seed) for seed in seeds]
    photos = torch.stack([torch.from_numpy(one.photo) for one in made]).permute(0, 3, 1, 2)
    masks = torch.stack([torch.from_numpy(one.mask) for one in made]).unsqueeze(1)
    return Batch(to_float(photos), None, to_float(masks), None), numbers_of(masks, TOLD)


def config(recipe: dict[str, Any] | None = None, **changes: Any) -> TrainConfig:
    image = {"size": 32, "channels": 3, "fit": "crop"}
    return train_config(recipe or RECIPE, **{"image": image, "steps": 60, **changes})


@pytest.mark.parametrize("weight", [0.0, 1.0], ids=["alone", "with a discriminator"])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_finds_shapes_that_it_has_not_seen(seed: int, weight: float) -> None:
    recipe = build_recipe(config({**RECIPE, "adversarial_weight": weight}, seed=seed), 0)
    for step in range(1, 61):
        values = recipe.training_step(batch_of(range(8 * step, 8 * step + 8))[0], step, random_for(seed, step))
    assert all(value.isfinite() for value in values.values())
    batch, right = batch_of(range(2_000, 2_016))
    with torch.no_grad():
        told = recipe.generator.eval()(batch.images).argmax(dim=1)
    blind = torch.zeros_like(right)
    scores = [mean_iou(overlaps(one.numpy(), right.numpy(), 3)).value for one in (told, blind)]
    assert scores[1] < 0.3 < 0.6 < scores[0]


def test_the_loss_is_the_mean_over_pixels_that_are_not_ignored() -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 8, 8, generator=random, dtype=torch.float64)
    numbers = torch.randint(3, (4, 8, 8), generator=random)
    numbers[:, 2:4] = IGNORED
    maps = maps_of(numbers, 3)
    loss = cross_entropy(logits, maps, maps.sum())
    assert loss.item() == pytest.approx(reference(logits, numbers, ignore_index=IGNORED).item(), rel=1e-6)
    nothing = torch.zeros_like(maps)
    assert cross_entropy(logits, nothing, nothing.sum()).item() == 0


@pytest.mark.parametrize("weight", [0.0, 1.0], ids=["alone", "with a discriminator"])
def test_what_is_said_at_ignored_pixels_moves_no_weight(weight: float) -> None:
    recipe = of_type(Pix2PixRecipe, build_recipe(config({**RECIPE, "adversarial_weight": weight}), 0))
    batch = batch_of(range(8))[0]
    targets = recipe.pair(batch)[1]
    logits = recipe.generator(batch.images).detach().requires_grad_()
    fake, real = recipe.targets.judged(logits, targets)
    ignored = (targets.sum(dim=1, keepdim=True) == 0).expand_as(targets)
    assert ignored.any()
    assert not fake[ignored].any()
    assert not real[ignored].any()
    (recipe.targets.distance(logits, targets) + fake.square().sum()).backward()
    assert logits.grad is not None
    assert not logits.grad[ignored].any()
    assert logits.grad[~ignored].any()


def test_right_classes_are_softened_to_probabilities() -> None:
    probabilities = torch.tensor([0.2, 0.5, 0.3]).view(1, 3, 1, 1).expand(1, 3, 1, 3).clone()
    probabilities[..., 2] = torch.tensor([0.96, 0.01, 0.03]).view(1, 3, 1)
    shown = softened(maps_of(torch.tensor([[[0, IGNORED, 0]]]), 3), probabilities)[0, :, 0]
    torch.testing.assert_close(shown[:, 0], torch.tensor([0.9, 0.0625, 0.0375]))
    assert not shown[:, 1].any()
    torch.testing.assert_close(shown[:, 2], probabilities[0, :, 0, 2])


def test_values_become_numbers_and_numbers_values() -> None:
    masks = torch.tensor([[[[0, 7, 130, 255, 9]]]], dtype=torch.uint8)
    numbers = numbers_of(masks, TOLD)
    assert numbers.tolist() == [[[0, 1, 2, IGNORED, IGNORED]]]
    assert torch.equal(masks_of(numbers[..., :3], TOLD), masks[..., :3])
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(every)), every)


def test_a_preview_shows_classes_in_colors_and_tells_no_diversity() -> None:
    recipe, (batch, right) = build_recipe(config(), 0), batch_of(range(8))
    preview = recipe.preview(recipe.generator.eval(), batch, random_for("preview"))
    assert preview.picture.shape == (3, 3 * 32, 8 * 32)
    assert torch.equal(preview.picture[:, 64:], make_grid(to_float(colors_of(right)), 8))
    assert preview.values.keys() == {"health/cross_entropy", "health/pixel_accuracy"}
    assert 0 <= preview.values["health/pixel_accuracy"] <= 1


def test_colors_are_those_of_pascal_voc_and_are_told() -> None:
    colors = colors_of(torch.tensor([[[0, 1, 2, 3, 20, IGNORED]]]))[0, :, 0].T.tolist()
    assert colors == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 64, 128], [224, 224, 224]]
    assert colors_of(torch.tensor([[[1, 2]]]), channels=1).shape == (1, 1, 1, 2)
    assert legend(TOLD) == "Colors: background #000000, disc #800000, square #008000."


def test_a_dry_run_measures_a_step_over_classes() -> None:
    assert bytes_of_activations(build_recipe(config(), 0), config(), 0) > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": {0: "a"}}, "at least 2"),
        ({"classes": {0: "a", 256: "b"}}, "less than or equal to 255"),
        ({"classes": {0: "a", 7: "a"}}, "the class 'a' has several values"),
        ({"classes": {0: "a", 7: "b/c"}}, "match pattern"),
        ({"classes": {0: "a", 255: "b"}}, "the value 255 is to be ignored and is the class 'b'"),
        ({"classes": None}, "'ignore: 255' is a value of masks; name their 'classes' too"),
        ({"source_domain": None, "target_domain": None}, "name the source_domain and the target_domain"),
        ({"l1_weight": 10}, "'l1_weight' changes nothing where the targets are masks; set 'cross_entropy_weight'"),
    ],
)
def test_classes_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(TrainConfig, {**train_section(MASKS), "recipe": {**MASKS, **changes}}, "train")


def test_a_weight_of_classes_is_refused_where_there_are_none() -> None:
    with pytest.raises(ConfigError, match="where the targets are pictures; set 'l1_weight'"):
        validate(TrainConfig, {**train_section(PAIRS), "recipe": {**PAIRS, "cross_entropy_weight": 10}}, "train")


def test_classes_without_values_are_counted_from_0_and_any_order_is_one() -> None:
    counted = of_type(Pix2PixConfig, recipe_config({**PAIRS, "classes": ["ground", "cat"]}))
    assert counted.classes == {0: "ground", 1: "cat"}
    ways = ({130: "square", 0: "background", 7: "disc"}, {"0": "background", "7": "disc", "130": "square"}, CLASSES)
    configs = [recipe_config({**PAIRS, "classes": way}) for way in ways]
    assert configs[0] == configs[1] == configs[2]
    assert present(configs[0].mask_classes).values == (0, 7, 130)
    assert recipe_config(configs[0].model_dump(mode="json")) == configs[0]
