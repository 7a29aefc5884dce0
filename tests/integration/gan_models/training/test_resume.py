"""Runs that are interrupted end as if they had not been."""

import json
import os
import signal
from pathlib import Path
from typing import get_args

import pytest
import torch

from gan_models.bundles.bundle import load_bundle
from gan_models.config import RecipeConfig
from gan_models.data.split_index import Listing
from gan_models.training.__main__ import main
from gan_models.training.loop import Outcome, Trainer
from tests.support.training_runs import (
    DCGAN,
    RECIPES,
    Running,
    train_config,
    train_section,
    training_data,
    write_run,
)

CPU = torch.device("cpu")
SECTIONS = get_args(get_args(RecipeConfig)[0])
BUNDLE_FILES = ("model.safetensors", "bundle.json")


def bundle_bytes(run: Path) -> list[bytes]:
    return [(run / "bundle" / name).read_bytes() for name in BUNDLE_FILES]


def test_a_run_killed_with_sigkill_and_run_again_gives_the_bytes_of_an_uninterrupted_one(tmp_path: Path) -> None:
    section = train_section(DCGAN, steps=120, checkpoint_every=10)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    assert main(write_run(whole, section)) == 0

    arguments = write_run(killed, section)
    for checkpoint in ("step-000020.json", "step-000070.json"):
        process = Running(arguments)
        process.wait_for((killed / "run" / "checkpoints" / checkpoint).exists)
        process.send_signal(signal.SIGKILL)
        assert process.wait()[0] == -signal.SIGKILL
        assert not (killed / "run" / "bundle").exists()
    assert main(arguments) == 0

    assert bundle_bytes(killed / "run") == bundle_bytes(whole / "run")
    assert losses(killed / "run") == losses(whole / "run")


def test_every_recipe_is_tried() -> None:
    assert {section["name"] for section in RECIPES.values()} == {
        section.model_fields["name"].default for section in SECTIONS
    }


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_recipe_stopped_anywhere_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path: Path, recipe) -> None:
    every = {"checkpoint_every": 20, "sample_every": 30, "log_every": 5}
    config, images = train_config(recipe, steps=60, batch_size=4, **every), training_data(recipe)
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    whole = Trainer(config, images, images, tmp_path / "whole", CPU)
    assert whole.run() is Outcome.DONE

    stopped = Trainer(config, images, images, tmp_path / "stopped", CPU)
    assert stopped.run(lambda: stopped.step == 25) is Outcome.PREEMPTED
    resumed = Trainer(config, images, images, tmp_path / "stopped", CPU)
    assert resumed.step == 25
    assert resumed.run() is Outcome.DONE

    for name, network in whole.recipe.networks.items():
        for key, tensor in network.state_dict().items():
            assert torch.equal(tensor, resumed.recipe.networks[name].state_dict()[key]), (name, key)
    for key, tensor in whole.ema.state_dict().items():
        assert torch.equal(tensor, resumed.ema.state_dict()[key]), key
    assert bundle_bytes(tmp_path / "stopped") == bundle_bytes(tmp_path / "whole")
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")


def losses(run: Path) -> list[tuple[int, dict[str, float]]]:
    """Every line of metrics.jsonl, but for what depends on the clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(x["step"], {k: v for k, v in x["values"].items() if not k.startswith("throughput/")}) for x in lines]


def test_sigterm_writes_a_checkpoint_exits_75_and_the_next_run_finishes(tmp_path: Path) -> None:
    process = Running(write_run(tmp_path, train_section(DCGAN, steps=100_000, checkpoint_every=100_000)))
    metrics = tmp_path / "run" / "metrics.jsonl"
    process.wait_for(lambda: metrics.exists() and metrics.read_text() != "")
    process.send_signal(signal.SIGTERM)
    code, errors = process.wait()
    assert code == 75
    assert "run again to go on" in errors
    manifests = (tmp_path / "run" / "checkpoints").glob("step-*.json")
    assert max(json.loads(manifest.read_text())["step"] for manifest in manifests) > 0


def test_sigterm_while_images_are_decoded_stops_the_run_at_once(tmp_path: Path, monkeypatch) -> None:
    arguments = write_run(tmp_path, train_section(DCGAN))
    original = Listing.decode

    def stopped(self, place, progress=None):
        os.kill(os.getpid(), signal.SIGTERM)
        return original(self, place, progress)

    with monkeypatch.context() as patch:
        patch.setattr(Listing, "decode", stopped)
        assert main(arguments) == 75
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
    assert main(arguments) == 0


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    arguments = write_run(tmp_path, train_section(DCGAN, steps=4))
    assert main(arguments) == 0
    before = bundle_bytes(tmp_path / "run")
    assert main(arguments) == 0
    assert bundle_bytes(tmp_path / "run") == before
    assert load_bundle(tmp_path / "run" / "bundle").label_names == ("dark", "light")


def test_lines_of_lost_steps_and_torn_lines_are_dropped_on_resume(tmp_path: Path) -> None:
    config, images = train_config(DCGAN), training_data(DCGAN)
    asked = iter([False] * 6 + [True])
    Trainer(config, images, images, tmp_path, CPU).run(lambda: next(asked))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "steps": 12, "time": 0, "values": {"loss/generator": 1.0}}\n{"step": 1')
    Trainer(config, images, images, tmp_path, CPU).run()
    assert [step for step, _ in losses(tmp_path)] == [2, 4, 6, 8, 10, 12]
