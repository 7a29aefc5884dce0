"""Several processes train the model that one would, and decide alike."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gan_models.config import ConfigError
from gan_models.recipes.base import Recipe
from gan_models.training.__main__ import main
from gan_models.training.distributed import Processes
from gan_models.training.loop import Trainer
from tests.gan_models.training.runs import (
    DCGAN,
    RECIPES,
    RESTORE,
    train_config,
    train_section,
    training_data,
    write_run,
)
from tests.gan_models.training.two_processes import as_tried, descend_gradients, weights

STEPS = 4

# Batch norm takes its statistics over a process's share on CPUs, as in PyTorch's own DistributedDataParallel.
WITH_BATCH_NORM = {"dcgan", "wgan_gp", "vae"}


def start_two(arguments: list[str]) -> list[subprocess.Popen[str]]:
    """Two processes, as torchrun would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [sys.executable, *arguments],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what two processes made of every recipe."""
    out = tmp_path_factory.mktemp("two")
    for process in start_two(["-m", "tests.gan_models.training.two_processes", str(out), str(STEPS)]):
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    return out


@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_train_every_recipe_to_the_same_weights_in_both(by_two: Path, name: str) -> None:
    first, second = (torch.load(by_two / f"{name} {rank}.pt") for rank in range(2))
    for key, tensor in first.items():
        if "running_" not in key:
            torch.testing.assert_close(tensor, second[key], rtol=0, atol=0, msg=key)
            assert tensor.isfinite().all()


@pytest.mark.parametrize("name", [name for name, section in RECIPES.items() if section["name"] not in WITH_BATCH_NORM])
def test_two_processes_make_the_weights_of_one_with_the_same_whole_batch(
    tmp_path: Path, by_two: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recipe, "adam", Recipe.adam)  # to be put back after
    descend_gradients()
    section = as_tried(RECIPES[name])
    data = training_data(section)
    alone = Trainer(train_config(section, steps=STEPS), data, data, tmp_path, torch.device("cpu"))
    start = {key: tensor.clone() for key, tensor in weights(alone).items()}
    alone.run()
    together = torch.load(by_two / f"{name} 0.pt")
    for network in {key.split(".")[0] for key in start}:
        keys = [key for key in start if key.split(".")[0] == network]
        moved, apart = (
            torch.cat([(weights(alone)[key] - other[key]).flatten() for key in keys]).norm()
            for other in (start, together)
        )
        assert moved > 0, network
        assert apart < 1e-3 * moved, network


def test_what_goes_wrong_in_one_process_rolls_back_all(by_two: Path) -> None:
    entries = [json.loads((by_two / f"rollbacks {rank}.json").read_text()) for rank in range(2)]
    assert entries[0] == entries[1]
    assert [entry["step"] for entry in entries[0]] == [2]
    assert "nan" in entries[0][0]["reason"]


def test_an_error_in_the_first_process_is_raised_in_all(by_two: Path) -> None:
    assert [(by_two / f"error {rank}").read_text() for rank in range(2)] == ["disk full"] * 2


def test_the_state_that_is_a_process_s_own_comes_back_to_it(by_two: Path) -> None:
    assert [(by_two / f"own {rank}").read_text() for rank in range(2)] == ["0", "1"]


def test_sigterm_to_one_process_stops_all_at_the_same_step_and_one_process_can_go_on(tmp_path: Path) -> None:
    command = write_run(tmp_path, train_section(RESTORE, steps=100_000, checkpoint_every=100_000))
    processes = start_two(command[1:])
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (metrics.exists() and metrics.read_text()):
        assert all(process.poll() is None for process in processes)
        assert time.monotonic() < deadline
        time.sleep(0.02)
    processes[1].send_signal(signal.SIGTERM)
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [75, 75], errors
    assert ["run again to go on" in text for text in errors] == [True, False]
    steps = [json.loads(path.read_text())["step"] for path in (tmp_path / "run" / "checkpoints").glob("step-*.json")]
    assert max(steps) > 0

    alone = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while len(metrics.read_text().splitlines()) <= max(steps) // 2 + 2:
        assert alone.poll() is None
        time.sleep(0.02)
    alone.send_signal(signal.SIGTERM)
    assert "run again to go on" in alone.communicate(timeout=60)[1]


def test_a_batch_that_cannot_be_shared_equally_is_refused(tmp_path: Path) -> None:
    data = training_data(DCGAN)
    with pytest.raises(ConfigError, match="batch_size is 8, which 3 processes cannot share equally"):
        Trainer(train_config(DCGAN), data, data, tmp_path, torch.device("cpu"), Processes(0, 3))


def test_torchrun_trains_to_a_bundle_and_a_single_process_finds_it_finished(tmp_path: Path) -> None:
    command = write_run(tmp_path, train_section(DCGAN, steps=2))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *command[1:]]
    ended = subprocess.run(torchrun, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert main(command[3:]) == 0
    assert [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()] == [2]
