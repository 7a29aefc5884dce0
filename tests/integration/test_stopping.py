"""Whoever ends a command ends the process that works for it: training with a checkpoint, evaluation without a trace."""

import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress

import psutil
import pytest
from mlflow import MlflowClient

from flows.dataset import dataset
from flows.runtime.process_tree import marked, new_mark
from flows.train import train
from tests.support.checked import present
from tests.support.project import Project, start_stage

PATIENCE_SECONDS = 180


def flow_states(project: Project) -> list[str]:
    """The states of the flow runs that the temporary server has kept."""
    with closing(sqlite3.connect(project.root / ".atelier" / "prefect" / "prefect.db")) as database:
        return [name for (name,) in database.execute("SELECT state_name FROM flow_run")]


def works(process: psutil.Process) -> bool:
    """Whether a process trains or evaluates; others, such as git's, come and go."""
    with suppress(psutil.Error):
        return any(f"gan_models.{what}" in process.cmdline() for what in ("training", "evaluation"))
    return False


def worker_of(command: subprocess.Popen[str], project: Project, begun: str) -> psutil.Process:
    """The process that works for a command, once it has left a file that matches `begun`."""
    flow = psutil.Process(command.pid)
    for _ in range(PATIENCE_SECONDS * 20):
        assert command.poll() is None, command.communicate()
        workers = [each for each in flow.children() if works(each)]
        if workers and any(project.root.glob(begun)):
            return workers[0]
        time.sleep(0.05)
    raise AssertionError("it did not begin")


def statuses(stage: str) -> list[str]:
    client = MlflowClient()
    runs = client.search_runs(
        [present(client.get_experiment_by_name("tiny-digits")).experiment_id], f"tags.stage = '{stage}'"
    )
    return [run.info.status for run in runs]


@pytest.mark.parametrize("from_terminal", [True, False])
def test_stopping_the_command_stops_the_trainer_with_a_checkpoint(
    project: Project, prefect_server: str, from_terminal: bool
):
    """Ctrl-C in a terminal goes to the temporary server as well, which has to be there to be told of it."""
    project.edit("train", steps=100_000, checkpoint_every=10)
    dataset(project.config)
    mark = new_mark()
    command = start_stage(project, None if from_terminal else prefect_server, "train", mark)
    trainer = worker_of(command, project, ".atelier/runs/*/checkpoints/*.json")
    before = {path.name for path in project.root.glob(".atelier/runs/*/checkpoints/*.json")}
    if from_terminal:
        os.killpg(command.pid, signal.SIGINT)
    else:
        command.terminate()
    _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode != 0
    assert errors.splitlines()[-1] == "stopped; run the same command again to go on where it was"
    assert "Traceback" not in errors
    assert not trainer.is_running()
    assert marked(mark) == []
    assert {path.name for path in project.root.glob(".atelier/runs/*/checkpoints/*.json")} - before, "no new checkpoint"
    assert statuses("train") == ["FAILED"]
    if from_terminal:
        assert flow_states(project) == ["Crashed"]


@pytest.mark.parametrize("how", [signal.SIGHUP, signal.SIGTERM])
def test_stopping_the_command_stops_the_evaluation(project: Project, prefect_server: str, how: signal.Signals):
    train(project.config, dataset(project.config))
    project.edit("evaluate", num_images=2_000)
    command = start_stage(project, prefect_server, "evaluate")
    evaluator = worker_of(command, project, ".atelier/runs/*/evaluation.log")
    os.killpg(command.pid, how)
    _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode != 0
    assert "Traceback" not in errors
    assert not evaluator.is_running()
    assert statuses("evaluate") == ["FAILED"]
