"""Two attempts at one run: the later one alone can do what counts, whatever the earlier one was doing."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.runtime.records import DatasetVersion
from flows.tracking.attempts import StaleAttemptError
from flows.tracking.metrics_forwarder import MetricsForwarder
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking
from tests.support.mlflow_helpers import open_run, version


def finish(tracking: Tracking, run_id: str, folder: Path) -> None:
    tracking.finish(version(run_id))


def log_a_model(tracking: Tracking, run_id: str, folder: Path) -> None:
    Registry(tracking).log_model(run_id, folder, name="digits", params={})


def send_metrics(tracking: Tracking, run_id: str, folder: Path) -> None:
    (folder / "metrics.jsonl").write_text('{"step": 1, "steps": 2, "time": 1.0, "values": {"loss/generator": 1.0}}\n')
    forwarder = MetricsForwarder(tracking, run_id, folder)
    forwarder.send_new()
    forwarder.wait()


def flush_metrics(tracking: Tracking, run_id: str, folder: Path) -> None:
    MetricsForwarder(tracking, run_id, folder).flush()


@pytest.mark.parametrize("write", [finish, log_a_model, send_metrics, flush_metrics])
def test_an_attempt_whose_run_another_took_up_writes_nothing_that_counts(
    tracking: Tracking, tmp_path: Path, write: Callable[[Tracking, str, Path], None]
):
    paused = Tracking(tracking.settings)
    run_id = open_run(paused)
    assert open_run(tracking) == run_id
    with pytest.raises(StaleAttemptError, match=r"attempt 1 at run .* was paused or cut off, and attempt 2 "):
        write(paused, run_id, tmp_path)
    run = tracking.client.get_run(run_id)
    assert run.info.status == "RUNNING"
    assert run.data.metrics == {}
    assert "record" not in run.data.tags
    assert tracking.client.search_logged_models([run.info.experiment_id]) == []
    paused.fail(run_id, "it was paused")
    assert tracking.client.get_run(run_id).info.status == "RUNNING", "its end is not the run's"
    tracking.finish(version(run_id))
    assert tracking.record(DatasetVersion, run_id) == version(run_id)


def test_a_run_says_which_attempt_works_on_it_and_where(tracking: Tracking):
    run_id = open_run(tracking)
    first = tracking.tags(run_id)
    open_run(tracking)
    second = tracking.tags(run_id)
    assert (first["attempt"], second["attempt"]) == ("1", "2")
    assert f"{socket.gethostname()}, process {os.getpid()}, " in second["attempt_by"]
    assert first["attempt_by"] != second["attempt_by"]
    tracking.check_current(run_id)
