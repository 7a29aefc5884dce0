"""Training as a function, as a notebook calls it."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gan_models.training.checkpoints import CheckpointError
from gan_models.training.loop import Outcome
from gan_models.training.run import train
from tests.support.training_runs import DCGAN, train_config, write_data


def test_a_finished_run_is_done_at_once_and_keeps_its_model(tmp_path: Path) -> None:
    write_data(DCGAN, tmp_path / "data")
    config = train_config(DCGAN, steps=2)
    assert train(config, tmp_path / "data", tmp_path / "run") is Outcome.DONE
    written = (tmp_path / "run/bundle/bundle.json").stat().st_mtime_ns
    assert train(config, tmp_path / "no longer there", tmp_path / "run") is Outcome.DONE
    assert (tmp_path / "run/bundle/bundle.json").stat().st_mtime_ns == written


def test_the_directory_is_free_again_after_an_error(tmp_path: Path) -> None:
    write_data(DCGAN, tmp_path / "data")
    train(train_config(DCGAN, steps=2), tmp_path / "data", tmp_path / "run")
    for _ in range(2):
        with pytest.raises(CheckpointError, match="finished run of another config"):
            train(train_config(DCGAN, steps=3), tmp_path / "data", tmp_path / "run")


def test_signals_are_the_callers_again_afterwards(tmp_path: Path) -> None:
    write_data(DCGAN, tmp_path / "data")
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train(train_config(DCGAN, steps=2), tmp_path / "data", tmp_path / "run")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_it_trains_in_another_thread_where_python_gives_no_signals(tmp_path: Path) -> None:
    write_data(DCGAN, tmp_path / "data")
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(train, train_config(DCGAN, steps=2), tmp_path / "data", tmp_path / "run")
        assert done.result() is Outcome.DONE
