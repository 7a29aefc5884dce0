"""Workers that are stopped, flow runs that are killed, machines that are gone (faults 5, 7, 8, 49, 50)."""

from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from flows.runtime.process_tree import marked
from tests.support.checked import present
from tests.support.dataset_stage import Built, become
from tests.support.prefect_server import EmptyPrefect
from tests.support.prefect_stack import Stack, Worker, running_stack, wait_for
from tests.support.project import Project


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, built_once: Built, empty_prefect: EmptyPrefect) -> Iterator[Stack]:
    """A project with a dataset, and a training that takes days."""
    project = Project(tmp_path_factory.mktemp("supervision") / "project")
    with pytest.MonkeyPatch.context() as monkeypatch:
        become(built_once.project, project, monkeypatch)
        project.edit("train", steps=10_000_000, checkpoint_every=10)
        with running_stack(project, empty_prefect) as stack:
            stack.deploy(max_attempts=3)
            yield stack


def checkpoints(project: Project) -> set[str]:
    return {path.name for path in project.root.glob(".atelier/runs/*/checkpoints/*.json")}


def training_runs() -> list[Any]:
    client = MlflowClient()
    experiment = present(client.get_experiment_by_name("tiny-digits")).experiment_id
    return list(client.search_runs([experiment], "tags.stage = 'train'"))


def flow_process(worker: Worker) -> psutil.Process:
    (found,) = psutil.Process(worker.process.pid).children()
    return found


def wait_for_state(stack: Stack, run_id: str, name: str) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        run = stack.run(run_id)
        return run if run["state_name"] == name else None

    return wait_for(reached, f"{name} flow run")


def test_stopping_a_worker_ends_its_training_with_a_checkpoint_and_the_next_worker_goes_on(stack: Stack):
    """And the same run is begun again after a crash, as often as is set, not more often; only the last one counts."""
    project = stack.project
    run_id = stack.submit("train/tiny-digits")
    worker = stack.start_worker("gpu")
    before = wait_for(lambda: checkpoints(project), "checkpoint")
    assert stack.slots_taken() == 1
    assert worker.stop() == 0
    assert marked(worker.mark) == []
    stopped_at = max(checkpoints(project))
    assert stopped_at > max(before), "no new checkpoint"
    assert stack.run(run_id)["state_name"] in ("Crashed", "AwaitingRetry")
    assert stack.slots_taken() == 0
    assert stack.locks() == [], "whoever takes it up waits for nobody"
    (run,) = training_runs()
    assert run.info.status == "FAILED"
    assert "stopped by SIGTERM" in run.data.tags["reason"]

    second = stack.start_worker("gpu")
    wait_for_state(stack, run_id, "Running")
    wait_for(lambda: max(checkpoints(project), default="") > stopped_at, "checkpoint of the second attempt")
    assert "step-000000.json" not in checkpoints(project), "it began anew"

    stack.set_state(run_id, "CRASHED")  # as a server does after it was away for longer than runs may be silent
    assert second.process.poll() is None
    third = stack.start_worker("gpu")
    wait_for(lambda: stack.run(run_id)["run_count"] == 3, "third attempt")
    flow_process(second).terminate()  # as Prefect does, since the slot is no longer its own
    wait_for(lambda: not psutil.Process(second.process.pid).children(), "end of the second attempt")
    stopped_at = max(checkpoints(project))
    wait_for(lambda: max(checkpoints(project), default="") > stopped_at, "checkpoint of the third attempt")
    assert stack.history(run_id)[-1] == "Running", "an attempt that was replaced tells how the run ends"
    flow_process(third).kill()
    crashed = wait_for_state(stack, run_id, "Crashed")
    assert crashed["run_count"] == 3
    assert stack.slots_taken() == 0
    wait_for(lambda: marked(third.mark) == [psutil.Process(third.process.pid)], "end of the trainer without a flow")
    assert second.stop() == third.stop() == 0
    assert stack.history(run_id).count("Running") == 3
    assert stack.run(run_id)["state_name"] == "Crashed", "it was begun more often than is set"


def test_runs_on_a_machine_that_is_gone_end_and_are_queued_again_unless_a_person_cancels_them(stack: Stack):
    """And runs of other projects on the same server are left alone, whatever their flows are called."""
    ids = stack.ids()
    stack.ask("PATCH", "work_pools/gpu", {"concurrency_limit": 2})
    stack.deploy(silence_seconds=10)
    try:
        assert stack.ids() == ids, "deploying again made something twice, or anew"
        assert stack.ask("GET", "work_pools/gpu")["concurrency_limit"] == 2, "what a person has set is gone"
        killed, of_others = stack.submit("train/tiny-digits"), stack.submit_of_others("train")
        stack.set_state(of_others, "RUNNING")
        worker = stack.start_worker("gpu")
        wait_for_state(stack, killed, "Running")
        worker.die()
        cancelled = stack.submit("dataset/tiny-digits")
        for state in ("PENDING", "RUNNING", "CANCELLING"):  # as a machine leaves it that is gone by now
            stack.set_state(cancelled, state)
        wait_for_state(stack, cancelled, "Cancelled")
        wait_for_state(stack, killed, "AwaitingRetry")
        assert stack.history(killed)[-2:] == ["Crashed", "AwaitingRetry"]
        assert "Crashed" not in stack.history(cancelled)
        assert stack.run(of_others)["state_name"] == "Running"
        assert stack.slots_taken() == 0
        stack.set_state(killed, "CANCELLED")
    finally:
        stack.automate(max_attempts=3)
