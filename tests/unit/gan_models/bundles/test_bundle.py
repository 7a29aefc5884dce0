"""Bundles come back as they were saved, or not at all."""

import json
from pathlib import Path

import pytest
import torch

from gan_models.bundles.bundle import load_bundle, save_bundle
from gan_models.bundles.description import BundleError, read_description
from gan_models.inference.generate import generate
from gan_models.inference.restore import restore
from gan_models.recipes import build_recipe
from tests.support.training_runs import DCGAN, RESTORE, train_config


def save(directory: Path, recipe: dict[str, object], label_names: tuple[str, ...] = ()) -> torch.nn.Module:
    config = train_config(recipe)
    network = build_recipe(config, len(label_names)).generator.eval()
    torch.manual_seed(0)
    for parameter in network.parameters():  # untrained networks draw flat images and return what they are given
        parameter.data += 0.3 * torch.randn_like(parameter)
    save_bundle(
        directory,
        network,
        recipe=config.recipe,
        image=config.image,
        label_names=label_names,
        num_steps=5,
        config_digest="c",
        data_digest="d",
    )
    return network


@pytest.fixture
def generating(tmp_path: Path) -> Path:
    save(tmp_path / "bundle", DCGAN, ("dark", "light"))
    return tmp_path / "bundle"


@pytest.fixture
def restoring(tmp_path: Path) -> Path:
    save(tmp_path / "bundle", {**RESTORE, "blocks": [1, 1, 1]})
    return tmp_path / "bundle"


def test_a_bundle_tells_what_it_is(generating: Path) -> None:
    bundle = load_bundle(generating)
    assert bundle.task == "generate"
    assert bundle.recipe.name == "dcgan"
    assert bundle.image.size == 16
    assert bundle.label_names == ("dark", "light")
    assert len(bundle.digest) == 64
    assert read_description(generating).num_steps == 5


def test_the_same_network_gives_the_same_bytes(generating: Path, tmp_path: Path) -> None:
    save(tmp_path / "again", DCGAN, ("dark", "light"))
    for name in ("model.safetensors", "bundle.json"):
        assert (generating / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert load_bundle(generating).digest == load_bundle(tmp_path / "again").digest


def test_generated_images_do_not_depend_on_the_batch_size_or_on_how_many_are_drawn(generating: Path) -> None:
    bundle, labels = load_bundle(generating), torch.arange(9) % 2
    images = generate(bundle, labels, num_images=9, seed=3)
    assert images.shape == (9, 1, 16, 16)
    assert images.dtype == torch.uint8
    for batch_size in (1, 4):
        others = generate(bundle, labels, num_images=9, seed=3, batch_size=batch_size)
        # Kernels for other batch sizes may round the last bit of a float, and so a pixel, the other way.
        assert (others.int() - images.int()).abs().max() <= 1
    assert (generate(bundle, labels[:4], num_images=4, seed=3).int() - images[:4].int()).abs().max() <= 1
    assert not torch.equal(generate(bundle, labels, num_images=9, seed=4), images)


def test_without_labels_each_is_taken_in_turn(generating: Path) -> None:
    bundle = load_bundle(generating)
    in_turn = generate(bundle, torch.tensor([0, 1, 0]), num_images=3, seed=0)
    assert torch.equal(generate(bundle, None, num_images=3, seed=0), in_turn)


@pytest.mark.parametrize("labels", [torch.tensor([0, 2]), torch.tensor([-1, 0]), torch.tensor([0])])
def test_labels_out_of_range_or_of_another_number_are_refused(generating: Path, labels) -> None:
    with pytest.raises(ValueError, match="2 numbers from 0 to 1"):
        generate(load_bundle(generating), labels, num_images=2, seed=0)


@pytest.mark.parametrize("size", [(8, 8), (9, 14), (16, 16), (37, 50)])
def test_images_of_any_size_are_restored(restoring: Path, size) -> None:
    bundle, images = load_bundle(restoring), torch.randint(256, (3, 3, *size), dtype=torch.uint8)
    restored = restore(bundle, images, None)
    assert restored.shape == images.shape
    assert restored.dtype == torch.uint8
    assert not torch.equal(restored, images)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool])
def test_known_pixels_come_back_untouched_and_what_is_under_the_mask_does_not_matter(restoring: Path, dtype) -> None:
    bundle, images = load_bundle(restoring), torch.randint(256, (2, 3, 19, 21), dtype=torch.uint8)
    mask = torch.zeros(2, 1, 19, 21, dtype=dtype)
    mask[:, :, 5:12, 3:20] = 1
    hole = mask.expand(2, 3, 19, 21) != 0
    restored = restore(bundle, images, mask)
    assert torch.equal(restored[~hole], images[~hole])
    assert torch.equal(restore(bundle, images.masked_fill(hole, 7), mask), restored)


def test_restored_images_do_not_depend_on_the_batch_size(restoring: Path) -> None:
    bundle, images = load_bundle(restoring), torch.randint(256, (5, 3, 16, 16), dtype=torch.uint8)
    mask = (torch.arange(5) % 2).bool().view(5, 1, 1, 1) & (torch.rand(5, 1, 16, 16) < 0.2)
    difference = restore(bundle, images, mask).int() - restore(bundle, images, mask, batch_size=2).int()
    assert difference.abs().max() <= 1


@pytest.mark.parametrize("scale", [2, 4])
def test_small_images_come_back_enlarged_as_their_enlargements_are_restored(restoring: Path, scale) -> None:
    bundle, small = load_bundle(restoring), torch.randint(256, (2, 3, 9, 11), dtype=torch.uint8)
    large = restore(bundle, small, None, scale=scale)
    assert large.shape == (2, 3, 9 * scale, 11 * scale)
    size = (9 * scale, 11 * scale)
    bicubic = torch.nn.functional.interpolate(small.float(), size=size, mode="bicubic").clamp(0, 255).round()
    difference = restore(bundle, bicubic.to(torch.uint8), None).int() - large.int()
    assert difference.float().abs().mean() < 0.5


def test_holes_are_not_filled_and_enlarged_at_once(restoring: Path) -> None:
    images, mask = torch.zeros(1, 3, 16, 16, dtype=torch.uint8), torch.ones(1, 1, 16, 16, dtype=torch.bool)
    with pytest.raises(ValueError, match="fill the holes first"):
        restore(load_bundle(restoring), images, mask, scale=2)


@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (1, 3, 7, 16), (3, 16, 16)])
def test_images_that_do_not_fit_are_refused(restoring: Path, shape) -> None:
    with pytest.raises(ValueError, match="images should be uint8"):
        restore(load_bundle(restoring), torch.zeros(shape, dtype=torch.uint8), None)


def test_a_bundle_refuses_the_other_task(generating: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="generates images, it does not restore"):
        restore(load_bundle(generating), torch.zeros(1, 1, 16, 16, dtype=torch.uint8), None)
    save(tmp_path / "other", RESTORE)
    with pytest.raises(ValueError, match="restores images, it does not generate"):
        generate(load_bundle(tmp_path / "other"), None, num_images=1, seed=0)


def test_changed_weights_are_refused(generating: Path) -> None:
    content = bytearray((generating / "model.safetensors").read_bytes())
    content[-5] ^= 1
    (generating / "model.safetensors").write_bytes(content)
    with pytest.raises(BundleError, match="was changed"):
        load_bundle(generating)


@pytest.mark.parametrize("name", ["model.safetensors", "bundle.json"])
def test_a_missing_file_is_named(generating: Path, name) -> None:
    (generating / name).unlink()
    with pytest.raises(BundleError, match=f"{name} cannot be read"):
        load_bundle(generating)


def change(bundle: Path, **fields: object) -> None:
    content = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**content, **fields}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"recipe": {"name": "stylegan9"}}, "recipe"),
        ({"recipe": {"name": "dcgan", "width": 16}}, "does not fit the recipe"),
        ({"label_names": ["one"]}, "does not fit the recipe"),
        ({"image": {"size": 32, "channels": 1}}, "does not fit the recipe"),
        ({"surprise": 1}, "surprise"),
        ({"format": 2}, "reads format 1"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(generating: Path, fields, message) -> None:
    change(generating, **fields)
    with pytest.raises(BundleError, match=message):
        load_bundle(generating)


def test_a_description_that_is_not_json_is_refused(generating: Path) -> None:
    (generating / "bundle.json").write_text("{")
    with pytest.raises(BundleError, match="is not JSON"):
        load_bundle(generating)


def test_saving_again_replaces_the_bundle_whole(generating: Path) -> None:
    (generating / "stray").write_text("")
    save(generating, RESTORE)
    assert sorted(path.name for path in generating.iterdir()) == ["bundle.json", "model.safetensors"]
    assert [path.name for path in generating.parent.iterdir()] == ["bundle"]
