"""Repainting keeps sizes, takes learned styles and examples, and says what it cannot do."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gan_models.bundles.bundle import Bundle, load_bundle, save_bundle
from gan_models.config import ImageConfig, recipe_config
from gan_models.inference.stylize import stylize
from gan_models.recipes import build_generator
from tests.support.training_runs import CUT, STYLE_BANK


def bundle_of(section: dict[str, object], directory: Path, names: tuple[str, ...]) -> Bundle:
    torch.manual_seed(0)
    recipe, image = recipe_config(section), ImageConfig(size=16, fit="crop")
    about = {"label_names": names, "num_steps": 1, "config_digest": "", "data_digest": ""}
    network = build_generator(recipe, image, len(names))
    if section is STYLE_BANK:
        nn.init.normal_(network.get_parameter("last.weight"), std=0.1)  # an untrained one adds nothing
        nn.init.normal_(network.get_parameter("styles"), std=0.1)
    save_bundle(directory, network, recipe=recipe, image=image, **about)
    return load_bundle(directory)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle_of(STYLE_BANK, tmp_path_factory.mktemp("stylize") / "bundle", ("cafe", "iris"))


def some(*shape: int) -> torch.Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(16, 16), (9, 21)])
def test_images_come_back_in_their_size_whatever_the_batch_size(bundle: Bundle, size: tuple[int, int]) -> None:
    images = some(5, 3, *size)
    painted = stylize(bundle, images, style="iris", batch_size=2)
    assert painted.shape == images.shape
    assert painted.dtype == torch.uint8
    assert (painted.int() - stylize(bundle, images, style=1).int()).abs().max() <= 1


def test_alpha_zero_gives_the_images_back_and_more_moves_them_further(bundle: Bundle) -> None:
    images = some(3, 3, 16, 16)
    assert torch.equal(stylize(bundle, images, style="cafe", alpha=0), images)
    moved = [(stylize(bundle, images, style=0, alpha=a).int() - images.int()).abs().sum().item() for a in (0.3, 0.6, 1)]
    assert 0 < moved[0] < moved[1] < moved[2]


def test_styles_differ_and_an_example_of_any_size_is_one(bundle: Bundle) -> None:
    images = some(2, 3, 16, 16)
    assert not torch.equal(stylize(bundle, images, style="cafe"), stylize(bundle, images, style="iris"))
    of_whole = stylize(bundle, images, style_image=some(3, 40, 33))
    of_small = stylize(bundle, images, style_image=some(3, 10, 9) // 4)
    assert not torch.equal(of_whole, of_small)


def test_a_model_with_one_style_needs_no_name(tmp_path: Path) -> None:
    bundle = bundle_of(STYLE_BANK, tmp_path / "bundle", ())
    images = some(2, 3, 16, 16)
    assert torch.equal(stylize(bundle, images), stylize(bundle, images, style=0))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "a style or a style image is needed; the model has learned cafe, iris"),
        ({"style": "caffe"}, "no style 'caffe'; did you mean 'cafe'"),
        ({"style": 2}, "no style 2"),
        ({"style": 0, "style_image": some(3, 16, 16)}, "choose one"),
        ({"style_image": some(1, 16, 16)}, r"style image should be uint8 \[3, H, W\]"),
        ({"style": 0, "alpha": 1.5}, "alpha should be from 0 to 1"),
    ],
)
def test_what_cannot_be_asked_for_is_said(bundle: Bundle, request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stylize(bundle, some(1, 3, 16, 16), **request_)


def test_images_and_models_that_do_not_fit_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\[N, 3, H, W\]"):
        stylize(bundle, some(1, 1, 16, 16), style=0)
    with pytest.raises(ValueError, match="a cut model does not repaint images"):
        stylize(bundle_of(CUT, tmp_path / "bundle", ()), some(1, 3, 16, 16), style=0)
