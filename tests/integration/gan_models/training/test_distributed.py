"""Several processes train the model that one would, and decide alike."""

import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gan_models.config import ConfigError
from gan_models.training.__main__ import main
from gan_models.training.distributed import Processes
from gan_models.training.loop import Trainer
from tests.support.training_runs import (
    DCGAN,
    RECIPES,
    RESTORE,
    Running,
    train_config,
    train_section,
    training_data,
    write_run,
)
from tests.support.two_processes import as_tried, descend_gradients, train_every_recipe, weights

STEPS = 2

# Batch norm takes its statistics over a process's share on CPUs, as in PyTorch's own DistributedDataParallel.
WITH_BATCH_NORM = {"dcgan", "wgan_gp", "vae"}


def start_two(arguments: list[str], program: Callable[[list[str]], int] = main) -> list[Running]:
    """Two processes, in the environment that torchrun would give them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        Running(arguments, program, environment={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what two processes made of every recipe."""
    out = tmp_path_factory.mktemp("two")
    for process in start_two([str(out), str(STEPS)], train_every_recipe):
        code, errors = process.wait()
        assert code == 0, errors
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
    descend_gradients(monkeypatch)
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
        assert apart < 0.05 * moved, network


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
    arguments = write_run(tmp_path, train_section(RESTORE, steps=100_000, checkpoint_every=100_000))
    processes = start_two(arguments)
    metrics = tmp_path / "run" / "metrics.jsonl"
    processes[0].wait_for(lambda: metrics.exists() and metrics.read_text() != "")
    processes[1].send_signal(signal.SIGTERM)
    (first, first_errors), (second, second_errors) = (process.wait() for process in processes)
    assert (first, second) == (75, 75), (first_errors, second_errors)
    assert "run again to go on" in first_errors
    assert "run again to go on" not in second_errors
    manifests = (tmp_path / "run" / "checkpoints").glob("step-*.json")
    stopped_at = max(json.loads(path.read_text())["step"] for path in manifests)
    assert stopped_at > 0

    alone = Running(arguments)
    alone.wait_for(lambda: f'"step": {stopped_at + 2 - stopped_at % 2},' in metrics.read_text())
    alone.send_signal(signal.SIGTERM)
    assert alone.wait()[0] == 75
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    assert steps == list(range(2, steps[-1] + 1, 2))


def test_a_batch_that_cannot_be_shared_equally_is_refused(tmp_path: Path) -> None:
    data = training_data(DCGAN)
    with pytest.raises(ConfigError, match="batch_size is 8, which 3 processes cannot share equally"):
        Trainer(train_config(DCGAN), data, data, tmp_path, torch.device("cpu"), Processes(0, 3))
