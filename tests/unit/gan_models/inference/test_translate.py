"""Translating keeps sizes, takes any of them, and says what it cannot do."""

from pathlib import Path

import pytest
import torch

from gan_models.bundles.bundle import Bundle, load_bundle, save_bundle
from gan_models.config import ImageConfig, recipe_config
from gan_models.images.pixels import to_float, to_uint8
from gan_models.inference.translate import translate
from gan_models.recipes import build_generator
from tests.support.training_runs import CUT, CYCLEGAN, PAIRS, PIX2PIX, RESTORE


def bundle_of(section: dict[str, object], directory: Path) -> Bundle:
    torch.manual_seed(0)
    recipe, image = recipe_config(section), ImageConfig(size=16, fit="crop")
    about = {"label_names": (), "num_steps": 1, "config_digest": "", "data_digest": ""}
    save_bundle(directory, build_generator(recipe, image, 0), recipe=recipe, image=image, **about)
    return load_bundle(directory)


@pytest.mark.parametrize("section", [PIX2PIX, PAIRS, CYCLEGAN, CUT])
@pytest.mark.parametrize("size", [(16, 16), (9, 21)])
def test_images_come_back_in_their_size_whatever_the_batch_size(tmp_path: Path, section, size) -> None:
    bundle = bundle_of(section, tmp_path / "bundle")
    images = torch.randint(256, (5, 3, *size), dtype=torch.uint8)
    translated = translate(bundle, images, batch_size=2)
    assert translated.shape == images.shape
    assert translated.dtype == torch.uint8
    whole = translate(bundle, images).int()
    assert (translated.int() - whole).abs().max() <= 1


def test_cyclegan_goes_both_ways(tmp_path: Path) -> None:
    bundle = bundle_of(CYCLEGAN, tmp_path / "bundle")
    images = torch.randint(256, (2, 3, 16, 16), dtype=torch.uint8)
    assert not torch.equal(translate(bundle, images), translate(bundle, images, reverse=True))


def test_a_model_of_pairs_is_given_the_picture_as_it_is(tmp_path: Path) -> None:
    bundle = bundle_of(PAIRS, tmp_path / "bundle")
    images = torch.randint(256, (2, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(translate(bundle, images), to_uint8(bundle.network(to_float(images))))


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    images = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    cut = bundle_of(CUT, tmp_path / "cut")
    with pytest.raises(ValueError, match="one direction; a cyclegan model has both"):
        translate(cut, images, reverse=True)
    with pytest.raises(ValueError, match=r"should be uint8 \[N, 3, H, W\]"):
        translate(cut, images[:, :1])
    with pytest.raises(ValueError, match="does not translate"):
        translate(bundle_of(RESTORE, tmp_path / "restore"), images)
