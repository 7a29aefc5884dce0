"""Whoever ends a command ends the process that works for it: training with a checkpoint, evaluation without a trace."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from flows.dataset import dataset
from flows.runtime.process_tree import MARK, marked, new_mark
from flows.train import train
from tests.support.checked import present
from tests.support.project import Project, start_stage

PATIENCE_SECONDS = 180


def worker_of(command: subprocess.Popen[str], project: Project, begun: str) -> psutil.Process:
    """The process that works for a command, once it has left a file that matches `begun`."""
    flow = psutil.Process(command.pid)
    for _ in range(PATIENCE_SECONDS * 20):
        assert command.poll() is None, command.communicate()
        if any(project.root.glob(begun)) and (children := flow.children()):
            return children[0]
        time.sleep(0.05)
    raise AssertionError("it did not begin")


def statuses(stage: str) -> list[str]:
    client = MlflowClient()
    runs = client.search_runs(
        [present(client.get_experiment_by_name("tiny-digits")).experiment_id], f"tags.stage = '{stage}'"
    )
    return [run.info.status for run in runs]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopping_the_command_stops_the_trainer_with_a_checkpoint(
    project: Project, prefect_server: str, how: signal.Signals
):
    project.edit("train", steps=100_000, checkpoint_every=10)
    dataset(project.config)
    command = start_stage(project, prefect_server, "train")
    trainer = worker_of(command, project, ".atelier/runs/*/checkpoints/*.json")
    before = {path.name for path in project.root.glob(".atelier/runs/*/checkpoints/*.json")}
    command.send_signal(how)
    _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode != 0
    assert "Traceback" not in errors
    assert not trainer.is_running()
    assert {path.name for path in project.root.glob(".atelier/runs/*/checkpoints/*.json")} - before, "no new checkpoint"
    assert statuses("train") == ["FAILED"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopping_the_command_stops_the_evaluation(project: Project, prefect_server: str, how: signal.Signals):
    train(project.config, dataset(project.config))
    project.edit("evaluate", num_images=2_000)
    command = start_stage(project, prefect_server, "evaluate")
    evaluator = worker_of(command, project, ".atelier/runs/*/evaluation.log")
    command.send_signal(how)
    _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode != 0
    assert "Traceback" not in errors
    assert not evaluator.is_running()
    assert statuses("evaluate") == ["FAILED"]


def test_stopping_a_command_also_stops_the_temporary_server_that_it_has_started(project: Project):
    mark = new_mark()
    environment = {**{name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}, MARK: mark}
    command = subprocess.Popen(
        [str(Path(sys.executable).with_name("atelier")), "retrain", project.config],
        cwd=project.root,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(PATIENCE_SECONDS * 20):
        assert command.poll() is None, command.communicate()
        if any("prefect.server" in " ".join(process.cmdline()) for process in marked(mark)):
            break
        time.sleep(0.05)
    command.terminate()
    _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode != 0
    assert "stopped; run the same command again to go on where it was" in errors
    assert "Traceback" not in errors
    assert marked(mark) == []
