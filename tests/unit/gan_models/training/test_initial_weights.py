"""Runs that begin from the weights of an existing bundle."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gan_models.bundles.bundle import load_bundle
from gan_models.bundles.description import BundleError
from gan_models.data.image_set import TrainingData
from gan_models.training.__main__ import main
from gan_models.training.identity import config_digest
from gan_models.training.loop import Trainer
from tests.support.training_runs import (
    DCGAN,
    PAIRS,
    PIX2PIX,
    RESTORE,
    image_set,
    train_config,
    train_section,
    training_data,
    write_run,
)

CPU = torch.device("cpu")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    data = training_data(DCGAN)
    (tmp_path / "first").mkdir()
    Trainer(train_config(DCGAN, steps=4), data, data, tmp_path / "first", CPU).run()
    return tmp_path / "first" / "bundle"


def trainer(directory: Path, recipe: dict[str, object], bundle: Path, data: TrainingData | None = None) -> Trainer:
    data = data or training_data(recipe)
    out = directory / "second"
    out.mkdir(exist_ok=True)
    return Trainer(train_config(recipe, steps=4, init_from=str(bundle)), data, data, out, CPU)


def test_generator_and_average_begin_from_the_bundle_and_go_on_from_there(tmp_path: Path, bundle: Path) -> None:
    run = trainer(tmp_path, DCGAN, bundle)
    weights = load_bundle(bundle).network.state_dict()
    for network in (run.recipe.generator, run.ema.network):
        assert all(torch.equal(tensor, weights[key]) for key, tensor in network.state_dict().items())
    run.run()
    assert not torch.equal(run.recipe.generator.state_dict()[key := next(iter(weights))], weights[key])
    assert run.step == 4


def test_a_run_that_is_resumed_does_not_begin_again(tmp_path: Path, bundle: Path) -> None:
    first = trainer(tmp_path, DCGAN, bundle)
    first.run(lambda: first.step == 2)
    second = trainer(tmp_path, DCGAN, bundle)
    assert second.step == 2
    for key, tensor in second.recipe.generator.state_dict().items():
        assert torch.equal(tensor, first.recipe.generator.state_dict()[key])


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (RESTORE, "is a dcgan model of images with 1 channels, and this config trains a restore model"),
        ({**DCGAN, "width": 8}, "recipe.width 4, here 8"),
        ({**DCGAN, "latent_dim": 4}, "recipe.latent_dim 8, here 4"),
    ],
    ids=["another recipe", "another width", "another latent size"],
)
def test_a_bundle_of_another_recipe_or_shape_is_refused(tmp_path: Path, bundle: Path, recipe, reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        trainer(tmp_path, recipe, bundle)


@pytest.mark.parametrize(
    ("first", "second", "domain"),
    [(PIX2PIX, PAIRS, "None, here photo"), (PAIRS, PIX2PIX, "photo, here None")],
    ids=["to pairs", "from pairs"],
)
def test_weights_go_from_single_images_to_pairs_and_back_where_the_networks_are_alike(
    tmp_path: Path, first, second, domain: str
) -> None:
    (tmp_path / "run").mkdir()
    data = training_data(first)
    Trainer(train_config(first, steps=1), data, data, tmp_path / "run", CPU).run()
    assert trainer(tmp_path, second, tmp_path / "run" / "bundle").step == 0
    with pytest.raises(BundleError, match=r"recipe\.width 4, here 8") as refused:
        trainer(tmp_path / "run", {**second, "width": 8}, tmp_path / "run" / "bundle")
    assert f"recipe.source_domain {domain}" in str(refused.value)


def test_a_new_label_begins_anew_and_the_rest_goes_on(tmp_path: Path, bundle: Path, caplog) -> None:
    images = replace(image_set(DCGAN), label_names=("dark", "light", "striped"))
    run = trainer(tmp_path, DCGAN, bundle, TrainingData(images))
    weights = load_bundle(bundle).network.state_dict()
    own = run.recipe.generator.state_dict()
    same = {key for key in own if own[key].shape == weights[key].shape}
    assert 0 < len(own) - len(same) <= 2
    assert all(torch.equal(own[key], weights[key]) for key in same)
    assert "the labels have changed" in caplog.text


def test_the_identity_of_a_run_is_the_bundle_s_content_not_its_place(tmp_path: Path, bundle: Path) -> None:
    shutil.copytree(bundle, tmp_path / "copy")
    here, there = (config_digest(train_config(DCGAN, init_from=str(path))) for path in (bundle, tmp_path / "copy"))
    assert here == there != config_digest(train_config(DCGAN))


def test_a_path_that_is_no_bundle_is_one_clear_line(tmp_path: Path, capsys) -> None:
    command = write_run(tmp_path, train_section(DCGAN, init_from=str(tmp_path / "none")))
    assert main(command) == 2
    assert "none is not a bundle" in capsys.readouterr().err
