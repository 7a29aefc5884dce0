"""`--dry-run` says what a run would be, and writes nothing."""

from pathlib import Path

import pytest
import torch
import yaml

from gan_models.config import TrainConfig
from gan_models.recipes import build_recipe
from gan_models.training.__main__ import main
from gan_models.training.memory import bytes_of_activations, bytes_of_weights
from tests.support.training_runs import DCGAN, RECIPES, train_config, train_section, write_run


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_it_prints_config_parameters_data_and_memory_of_every_recipe(tmp_path: Path, capsys, recipe) -> None:
    command = write_run(tmp_path, train_section(recipe))
    assert main([*command, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    resolved = yaml.safe_load(printed.split("parameters\n")[0])["train"]
    assert TrainConfig.model_validate(resolved) == train_config(recipe)
    for line in ("generator", "16 of ", "activations", "together", "live in          memory"):
        assert line in printed
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "cache").exists()


def test_bad_input_is_the_same_error_as_without_it(tmp_path: Path, capsys) -> None:
    command = write_run(tmp_path, train_section(DCGAN))
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    assert main([*command, "--dry-run"]) == 2
    assert "no shards" in capsys.readouterr().err


def test_bytes_of_weights_are_exact() -> None:
    networks: dict[str, torch.nn.Module] = {"generator": torch.nn.Linear(10, 5), "frozen": torch.nn.Linear(2, 2)}
    assert bytes_of_weights(networks, {"generator"}) == {
        "weights": 4 * (55 + 6),
        "gradients": 4 * 55,
        "optimizers": 8 * 55,
        "moving average": 4 * 55,
    }


def test_activations_are_those_of_the_whole_batch() -> None:
    def measured(batch_size: int) -> int:
        config = train_config(DCGAN, batch_size=batch_size)
        return bytes_of_activations(build_recipe(config, 2), config, 2)

    assert measured(8) > 8 * 16 * 16 * 4  # more than the images alone
    assert measured(64) == 8 * measured(8)
