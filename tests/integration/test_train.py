"""The train stage: what a killed, stopped or failing training leaves, and what the next start makes of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from flows.retrain import retrain
from flows.runtime.errors import StageError
from flows.runtime.gpus import hold_gpus
from flows.runtime.records import DatasetVersion
from flows.train import dry_run, train
from tests.support.checked import present
from tests.support.gpus import pretend_gpus
from tests.support.invariants import check_invariants
from tests.support.project import Project, start_stage

pytestmark = pytest.mark.usefixtures("prefect_server")
PATIENCE_SECONDS = 120


def trainer_of(project: Project) -> int:
    """The process id of the trainer that works in the project, once it has written a checkpoint."""
    for _ in range(PATIENCE_SECONDS * 20):
        if list(project.root.glob(".atelier/runs/*/checkpoints/*.json")):
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    command = (folder / "cmdline").read_bytes().decode().split("\0")
                except OSError:
                    continue
                if "gan_models.training" in command and any(str(project.root) in part for part in command):
                    return int(folder.name)
        time.sleep(0.05)
    raise AssertionError("no trainer wrote a checkpoint")


@pytest.mark.usefixtures("built")
def test_a_killed_training_is_resumed_and_ends_as_if_it_had_never_been_killed(project: Project, prefect_server: str):
    project.edit("train", steps=150, checkpoint_every=10)
    command = start_stage(project, prefect_server, "train")
    os.kill(trainer_of(project), signal.SIGKILL)
    _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode == 1
    assert "was killed by SIGKILL, as the kernel does where memory runs out; run again to resume it" in errors
    assert "Traceback" not in errors

    again = lambda: retrain(project.config)  # noqa: E731
    _, resumed, *_ = check_invariants(project.config, champion=None, told=errors, again=again)

    experiment = present(MlflowClient().get_experiment_by_name("tiny-digits")).experiment_id
    runs = MlflowClient().search_runs([experiment], "tags.stage = 'train'")
    assert [run.info.run_id for run in runs] == [resumed.run_id], "the resumed training went on in the same run"
    history = MlflowClient().get_metric_history(resumed.run_id, "loss/generator")
    assert [point.step for point in history] == list(range(2, 151, 2)), "every step was sent once"

    out = project.root / ".atelier" / "runs" / resumed.fingerprint
    uninterrupted = project.root / "uninterrupted"
    data = next(project.root.glob(".atelier/datasets/*/images"))
    arguments = ["--config", str(out / "config.yaml"), "--data", str(data), "--out", str(uninterrupted)]
    subprocess.run([sys.executable, "-m", "gan_models.training", *arguments], check=True, timeout=PATIENCE_SECONDS)
    for file in ("model.safetensors", "bundle.json"):
        assert (out / "bundle" / file).read_bytes() == (uninterrupted / "bundle" / file).read_bytes()


def test_a_training_that_fails_says_why_in_one_sentence_and_logs_no_model(project: Project, built: DatasetVersion):
    project.edit("train", recipe={"name": "dcgan", "width": 8, "latent_dim": 8, "learning_rate": 1e30})
    with pytest.raises(StageError, match="unhealthy"):
        train(project.config, built)
    client = MlflowClient()
    experiment = present(client.get_experiment_by_name("tiny-digits")).experiment_id
    (run,) = client.search_runs([experiment])
    assert run.info.status == "FAILED"
    assert "unhealthy" in run.data.tags["reason"]
    assert client.search_logged_models([experiment]) == []


def test_a_training_that_needs_more_memory_than_it_may_use_says_which_setting_to_raise(
    project: Project, built: DatasetVersion, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ATELIER_TRAINING_MEMORY_GIB", "0.05")
    with pytest.raises(StageError, match=r"needed more than the 0\.05 GiB .* or raise ATELIER_TRAINING_MEMORY_GIB"):
        train(project.config, built)


def test_one_setting_trains_with_several_processes(
    project: Project, built: DatasetVersion, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ATELIER_TRAIN_PROCESSES", "2")
    trained = train(project.config, built)
    assert MlflowClient().get_run(trained.run_id).info.status == "FINISHED"
    assert len(MlflowClient().get_metric_history(trained.run_id, "loss/generator")) == 6


def test_a_model_trains_by_a_process_on_each_gpu_it_asks_for_and_what_they_say_of_a_failure_is_passed_on(
    project: Project, built: DatasetVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    locks = pretend_gpus(tmp_path, monkeypatch, "GPU-0a", "GPU-1b", "GPU-2c")
    project.edit("resources", gpus=2)
    project.edit("train", batch_size=7)
    with pytest.raises(StageError, match="batch_size is 7, which 2 processes cannot share"):
        train(project.config, built)
    project.edit("train", batch_size=8, recipe={"name": "dcgan", "width": 8, "latent_dim": 8, "learning_rate": 1e30})
    with pytest.raises(StageError, match="unhealthy"):
        train(project.config, built)
    with hold_gpus(locks, 3, pytest.fail) as gpus:
        assert len(gpus.uuids) == 3, "all are free again"


@pytest.mark.usefixtures("built")
def test_a_dry_run_prints_what_would_be_trained_and_begins_nothing(project: Project, capfd: pytest.CaptureFixture[str]):
    capfd.readouterr()
    assert dry_run(project.config) == 0
    printed = capfd.readouterr().out
    assert "steps: 12" in printed
    assert "parameters" in printed
    assert not (project.root / ".atelier" / "runs").exists()
    assert MlflowClient().get_experiment_by_name("tiny-digits") is None
