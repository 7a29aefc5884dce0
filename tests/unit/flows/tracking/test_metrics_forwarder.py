"""What training writes, on its way to MLflow: kept while MLflow refuses, sent once."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from PIL import Image

from flows.runtime.records import DatasetVersion
from flows.tracking import metrics_forwarder
from flows.tracking.errors import TrackingError
from flows.tracking.metrics_forwarder import MetricsForwarder
from flows.tracking.run_contents import MAX_BATCH
from flows.tracking.runs import Tracking
from tests.support.checked import present
from tests.support.mlflow_helpers import open_run


class MoodyTracking(Tracking):
    """Real MLflow that refuses metrics, hangs, or takes them and loses its reply: no server does so on command."""

    mood = "well"
    num_requests = 0
    released = threading.Event()

    def log_metrics(
        self,
        run_id: str,
        rows: Sequence[tuple[str, float, int, float]],
        model_id: str | None = None,
        dataset: DatasetVersion | None = None,
    ) -> None:
        self.num_requests += 1
        if self.mood == "hangs":
            self.released.wait()
        if self.mood == "refuses":
            raise MlflowException("500 Internal Server Error")
        super().log_metrics(run_id, rows, model_id, dataset)
        if self.mood == "loses its reply":
            raise MlflowException("connection reset by peer")


class Forwarder(MetricsForwarder):
    """One whose batches have arrived, or failed, when it says what is new."""

    def send_new(self) -> dict[str, Any] | None:
        newest = super().send_new()
        self.wait()
        return newest


class Training:
    """The folder of a training run, and what it writes there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "samples").mkdir(parents=True)

    def write(self, *steps: int) -> None:
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.writelines(self.line(step) for step in steps)

    def write_sample(self, step: int) -> None:
        Image.new("L", (8, 8), step).save(self.folder / "samples" / f"step-{step:06d}.png")

    @staticmethod
    def line(step: int) -> str:
        values = {"loss/generator": 1 / step, "loss/discriminator": float(step)}
        return json.dumps({"step": step, "steps": 100, "time": 1000.0 + step, "values": values}) + "\n"


@pytest.fixture
def moody(tracking: Tracking) -> MoodyTracking:
    return MoodyTracking(tracking.settings)


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path / "run")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call sends: the pauses between batches are for servers."""
    monkeypatch.setattr(metrics_forwarder, "SECONDS_BETWEEN_BATCHES", 0.0)
    monkeypatch.setattr(metrics_forwarder, "SECONDS_AFTER_A_FAILURE", 0.0)


def curve(tracking: Tracking, run_id: str, name: str = "loss/generator") -> list[int]:
    """The steps that MLflow has of a metric."""
    return sorted(point.step for point in tracking.client.get_metric_history(run_id, name))


def pictures(tracking: Tracking, run_id: str) -> int:
    """How many sample pictures MLflow has; it keeps a thumbnail beside each."""
    files = [Path(file.path) for file in tracking.client.list_artifacts(run_id, "images")]
    return len([file for file in files if file.suffix == ".png"])


@pytest.mark.usefixtures("at_once")
def test_rows_are_kept_while_mlflow_refuses_and_sent_once_later(moody: MoodyTracking, training: Training):
    run_id = open_run(moody)
    forwarder = Forwarder(moody, run_id, training.folder)
    training.write(1, 2)
    assert present(forwarder.send_new())["step"] == 2
    moody.mood = "refuses"
    training.write(3, 4)
    assert present(forwarder.send_new())["step"] == 4, "training is watched as before"
    assert curve(moody, run_id) == [1, 2]
    moody.mood = "well"
    training.write(5)
    forwarder.send_new()
    forwarder.flush()
    assert curve(moody, run_id) == [1, 2, 3, 4, 5]
    assert curve(moody, run_id, "loss/discriminator") == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("at_once")
def test_rows_whose_reply_was_lost_are_in_mlflow_once(moody: MoodyTracking, training: Training):
    run_id = open_run(moody)
    forwarder = Forwarder(moody, run_id, training.folder)
    training.write(1, 2)
    moody.mood = "loses its reply"
    forwarder.send_new()
    moody.mood = "well"
    training.write(3)
    forwarder.flush()
    assert curve(moody, run_id) == [1, 2, 3]


@pytest.mark.usefixtures("at_once")
def test_a_batch_that_broke_off_in_the_middle_is_in_mlflow_once(
    moody: MoodyTracking, training: Training, monkeypatch: pytest.MonkeyPatch
):
    run_id = open_run(moody)
    forwarder = Forwarder(moody, run_id, training.folder)
    steps = list(range(1, MAX_BATCH // 2 + 3))  # two values a row: two requests
    training.write(*steps)
    log_batch, sizes = moody.client.log_batch, []

    def refuse_the_second(run: str, metrics: Sequence[Any]) -> None:  # the server dies between two requests
        sizes.append(len(metrics))
        if len(sizes) == 2:
            raise MlflowException("connection refused")
        log_batch(run, metrics=metrics)

    with monkeypatch.context() as context:
        context.setattr(moody.client, "log_batch", refuse_the_second)
        forwarder.send_new()
    assert sizes == [MAX_BATCH, 4]
    forwarder.flush()
    assert curve(moody, run_id) == steps


@pytest.mark.usefixtures("at_once")
def test_after_a_restart_only_what_is_new_is_sent(moody: MoodyTracking, training: Training):
    run_id = open_run(moody)
    training.write(1, 2)
    training.write_sample(2)
    Forwarder(moody, run_id, training.folder).send_new()
    moody.mood = "refuses"
    training.write(3)
    Forwarder(moody, run_id, training.folder).send_new()
    moody.mood = "well"
    moody.num_requests = 0
    training.write(4)
    training.write_sample(4)
    restarted = Forwarder(moody, run_id, training.folder)
    assert restarted.sent_step == 2
    restarted.send_new()
    restarted.send_new()
    assert moody.num_requests == 1
    assert curve(moody, run_id) == [1, 2, 3, 4]
    assert pictures(moody, run_id) == 2


@pytest.mark.usefixtures("at_once")
def test_another_run_of_the_same_folder_gets_all_of_it(moody: MoodyTracking, training: Training):
    training.write(1, 2)
    training.write_sample(2)
    Forwarder(moody, open_run(moody), training.folder).flush()
    anew = open_run(moody, "f2")
    Forwarder(moody, anew, training.folder).flush()
    assert curve(moody, anew) == [1, 2]
    assert pictures(moody, anew) == 1


@pytest.mark.usefixtures("at_once")
def test_a_line_that_is_still_being_written_waits(moody: MoodyTracking, training: Training):
    run_id = open_run(moody)
    forwarder = Forwarder(moody, run_id, training.folder)
    assert forwarder.send_new() is None, "there is no file yet"
    line = training.line(2)
    training.write(1)
    file = training.folder / "metrics.jsonl"
    with file.open("a") as stream:
        stream.write(line[:20])
    assert present(forwarder.send_new())["step"] == 1
    assert curve(moody, run_id) == [1]
    with file.open("a") as stream:
        stream.write(line[20:])
    assert present(forwarder.send_new())["step"] == 2
    assert curve(moody, run_id) == [1, 2]


@pytest.mark.usefixtures("at_once")
def test_rows_that_were_sent_are_not_read_again_even_after_a_restart(moody: MoodyTracking, training: Training):
    run_id = open_run(moody)
    forwarder = Forwarder(moody, run_id, training.folder)
    training.write(1, 2, 3)
    forwarder.send_new()
    file = training.folder / "metrics.jsonl"
    file.write_text("#" * 20 + file.read_text()[20:])  # of the same length: whoever reads row 1 again fails
    training.write(4)
    assert present(forwarder.send_new())["step"] == 4
    training.write(5)
    Forwarder(moody, run_id, training.folder).flush()
    assert curve(moody, run_id) == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("restart", [False, True])
def test_a_training_that_was_rolled_back_sends_no_step_twice(moody: MoodyTracking, training: Training, restart: bool):
    run_id = open_run(moody)
    forwarder = Forwarder(moody, run_id, training.folder)
    training.write(1, 2, 3, 4)
    forwarder.send_new()
    (training.folder / "metrics.jsonl").write_text(training.line(1) + training.line(2).replace("1002", "1009"))
    if restart:
        forwarder = Forwarder(moody, run_id, training.folder)
    assert present(forwarder.send_new())["step"] == 2
    training.write(3, 4, 5)
    assert present(forwarder.send_new())["step"] == 5
    assert curve(moody, run_id) == [1, 2, 3, 4, 5]


def test_a_server_that_refuses_is_left_in_peace_for_a_while(moody: MoodyTracking, training: Training):
    forwarder = Forwarder(moody, open_run(moody), training.folder)
    training.write(1)
    moody.mood = "refuses"
    for _ in range(20):
        forwarder.send_new()
    assert moody.num_requests == 1


def test_training_is_watched_while_mlflow_hangs(moody: MoodyTracking, training: Training):
    run_id = open_run(moody)
    forwarder = MetricsForwarder(moody, run_id, training.folder)
    moody.mood = "hangs"
    for step in (1, 2, 3):
        training.write(step)
        assert present(forwarder.send_new())["step"] == step
    moody.released.set()
    forwarder.flush()
    assert curve(moody, run_id) == [1, 2, 3]
    assert moody.num_requests <= 2


def test_metrics_that_mlflow_never_takes_end_in_a_clear_error_and_are_not_lost(
    moody: MoodyTracking, training: Training, monkeypatch: pytest.MonkeyPatch
):
    pauses: list[float] = []
    monkeypatch.setattr("flows.tracking.metrics_forwarder.time.sleep", pauses.append)
    run_id = open_run(moody)
    training.write(1)
    moody.mood = "refuses"
    with pytest.raises(TrackingError, match=r"500 Internal Server Error; run again, nothing is trained again"):
        Forwarder(moody, run_id, training.folder).flush()
    assert pauses == sorted(pauses)
    assert moody.num_requests == metrics_forwarder.FINAL_ATTEMPTS
    moody.mood = "well"
    Forwarder(moody, run_id, training.folder).flush()
    assert curve(moody, run_id) == [1]


def test_a_server_whose_every_refusal_takes_minutes_is_not_asked_as_often(
    moody: MoodyTracking, training: Training, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(metrics_forwarder, "MAX_BATCH_SECONDS", 0.0)
    run_id = open_run(moody)
    training.write(1)
    moody.mood = "refuses"
    with pytest.raises(TrackingError, match="run again, nothing is trained again"):
        Forwarder(moody, run_id, training.folder).flush()
    assert moody.num_requests == 1
