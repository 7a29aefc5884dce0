"""MLflow as this project uses it: finished work is found, nothing is made twice, and a refusal costs no metric."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from PIL import Image

from flows import run_mirror
from flows.records import DatasetVersion
from flows.registry import Registry
from flows.run_mirror import RunMirror
from flows.settings import Settings
from flows.tracking import MAX_BATCH, Tracking, TrackingError

EXPERIMENT = "digits"
PATIENCE_SECONDS = 120


def version(run_id: str, fingerprint: str = "f1") -> DatasetVersion:
    return DatasetVersion(
        fingerprint=fingerprint,
        run_id=run_id,
        name="digits",
        content_digest="c1",
        dvc_md5="d1.dir",
        git_commit=None,
        num_train=3,
        num_evaluation=1,
    )


def open_run(tracking: Tracking, fingerprint: str = "f1") -> str:
    return tracking.open_run(EXPERIMENT, "dataset", fingerprint, subject="digits", tags={"dataset": "digits"})


def finished_run(tracking: Tracking, fingerprint: str = "f1") -> DatasetVersion:
    record = version(open_run(tracking, fingerprint), fingerprint)
    tracking.finish(record)
    return record


def find(
    tracking: Tracking, fingerprint: str = "f1", experiment: str = EXPERIMENT, **tags: str
) -> DatasetVersion | None:
    return tracking.find_finished(DatasetVersion, experiment, "dataset", fingerprint=fingerprint, **tags)


def num_runs(tracking: Tracking) -> int:
    return len(tracking.client.search_runs([tracking.client.get_experiment_by_name(EXPERIMENT).experiment_id]))


def logged_model(tracking: Tracking, run_id: str) -> str:
    """The id of a logged model without files: registering one reads none."""
    experiment = tracking.client.get_experiment_by_name(EXPERIMENT)
    return str(tracking.client.create_logged_model(experiment.experiment_id, "digits", source_run_id=run_id).model_id)


def empty_project(folder: Path) -> Path:
    for name in ("configs", ".dvc"):
        (folder / name).mkdir()
    return folder


@pytest.fixture
def tracking(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    """The MLflow of an empty folder, on SQLite."""
    before = mlflow.get_tracking_uri()
    monkeypatch.delenv("ATELIER_HOME", raising=False)
    settings = Settings(project=empty_project(tmp_path))
    shutil.copy(empty_database, settings.state / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{settings.state / 'mlflow.db'}")
    yield Tracking(settings)
    mlflow.set_tracking_uri(before)


@pytest.fixture
def dead_address() -> Iterator[str]:
    """An address of this machine that nobody answers at, and that nobody else can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


# Finding what is done


def test_finished_work_is_found_by_its_fingerprint(tracking: Tracking):
    record = finished_run(tracking)
    finished_run(tracking, "f2")
    assert find(tracking) == record
    assert find(tracking, dataset="digits") == record


def test_what_was_never_made_is_not_found(tracking: Tracking):
    assert find(tracking) is None, "there is not even an experiment"
    finished_run(tracking)
    assert find(tracking, "f2") is None
    assert find(tracking, dataset="photos") is None
    assert tracking.find_finished(DatasetVersion, EXPERIMENT, "train", fingerprint="f1") is None


def test_a_run_that_is_still_going_is_not_finished(tracking: Tracking):
    run_id = open_run(tracking)
    tracking.client.set_tag(run_id, "record", version(run_id).model_dump_json())
    assert find(tracking) is None


def test_a_run_that_failed_is_not_finished_whatever_it_carries(tracking: Tracking):
    run_id = open_run(tracking)
    tracking.client.set_tag(run_id, "record", version(run_id).model_dump_json())
    tracking.fail(run_id, "the disk is full")
    assert find(tracking) is None
    assert tracking.tags(run_id)["reason"] == "the disk is full"


def test_a_run_that_someone_closed_without_a_record_is_not_finished(tracking: Tracking):
    tracking.client.set_terminated(open_run(tracking), "FINISHED")
    assert find(tracking) is None


def test_a_run_that_a_person_deleted_is_not_found_and_its_work_is_done_again(tracking: Tracking):
    first = finished_run(tracking)
    tracking.client.delete_run(first.run_id)
    assert find(tracking) is None
    assert finished_run(tracking).run_id != first.run_id


def test_a_record_is_read_back_from_its_run_and_none_from_a_run_that_is_gone(tracking: Tracking):
    record = finished_run(tracking)
    assert tracking.record(DatasetVersion, record.run_id) == record
    assert tracking.record(DatasetVersion, "0" * 32) is None
    assert tracking.record(DatasetVersion, open_run(tracking, "f2")) is None


# Runs


def test_an_unfinished_run_is_taken_up_again_rather_than_made_twice(tracking: Tracking):
    killed = open_run(tracking)
    assert open_run(tracking) == killed
    assert num_runs(tracking) == 1


def test_a_failed_run_is_taken_up_again_and_shows_as_running(tracking: Tracking):
    failed = open_run(tracking)
    tracking.fail(failed, "the disk is full")
    assert open_run(tracking) == failed
    assert tracking.client.get_run(failed).info.status == "RUNNING"


def test_a_run_that_ended_well_after_a_failure_no_longer_gives_a_reason_for_failing(tracking: Tracking):
    failed = open_run(tracking)
    tracking.fail(failed, "the disk is full")
    assert finished_run(tracking).run_id == failed
    assert "reason" not in tracking.tags(failed)


def test_finished_work_is_never_written_to_again(tracking: Tracking):
    done = finished_run(tracking)
    assert open_run(tracking) != done.run_id


def test_parameters_may_be_logged_again_when_a_run_is_taken_up(tracking: Tracking):
    run_id = open_run(tracking)
    for _ in range(2):
        tracking.log_params(run_id, {"recipe": {"name": "dcgan", "width": 8}, "steps": 12})
    assert tracking.client.get_run(run_id).data.params == {"recipe.name": "dcgan", "recipe.width": "8", "steps": "12"}


def test_a_table_is_not_doubled_when_a_run_is_taken_up(tracking: Tracking):
    run_id = open_run(tracking)
    for _ in range(2):
        tracking.log_table(run_id, [{"path": "bad.png", "reason": "empty"}], "quarantined.json")
    table = json.loads(tracking.fetch(run_id, "quarantined.json").read_text())
    assert table == {"columns": ["path", "reason"], "data": [["bad.png", "empty"]]}


def test_artifacts_are_kept_with_the_project_wherever_the_command_was_started(
    tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    file = tmp_path / "note.txt"
    file.write_text("kept")
    run_id = open_run(tracking)
    tracking.log_files(run_id, [file])
    assert [kept.read_text() for kept in tracking.settings.artifact_root.rglob("note.txt")] == ["kept"]
    assert list(elsewhere.iterdir()) == []


def test_a_deleted_experiment_gives_one_clear_error(tracking: Tracking):
    open_run(tracking)
    tracking.client.delete_experiment(tracking.client.get_experiment_by_name(EXPERIMENT).experiment_id)
    assert find(tracking) is None
    with pytest.raises(TrackingError, match="experiment 'digits' was deleted; restore it or delete it for good"):
        open_run(tracking)


# The registry


def register(registry: Registry, model_id: str, run_id: str) -> str:
    return registry.register(
        "digits", model_id, run_id=run_id, description="Draws digits.", tags={"training_run": run_id}
    )


def test_registering_a_model_twice_gives_one_version(tracking: Tracking):
    registry, run_id = Registry(tracking), open_run(tracking)
    model_id = logged_model(tracking, run_id)
    assert register(registry, model_id, run_id) == "1"
    assert register(registry, model_id, run_id) == "1"
    assert register(registry, logged_model(tracking, run_id), run_id) == "2"
    assert [known.version for known in registry.versions("digits")] == ["2", "1"]
    assert registry.versions("digits")[1].logged_model_id == model_id
    assert registry.models() == ["digits"]


def test_a_registration_whose_reply_was_lost_is_found_by_the_retry(tracking: Tracking, monkeypatch: pytest.MonkeyPatch):
    registry, run_id = Registry(tracking), open_run(tracking)
    model_id = logged_model(tracking, run_id)
    create = tracking.client.create_model_version

    def lose_the_reply(*arguments: Any, **options: Any) -> None:  # a real server loses none on command
        create(*arguments, **options)
        raise MlflowException("connection reset by peer")

    with monkeypatch.context() as context:
        context.setattr(tracking.client, "create_model_version", lose_the_reply)
        with pytest.raises(MlflowException, match="connection reset"):
            register(registry, model_id, run_id)
    assert register(registry, model_id, run_id) == "1"
    assert len(registry.versions("digits")) == 1


def test_an_alias_moves_and_is_taken_away(tracking: Tracking):
    registry, run_id = Registry(tracking), open_run(tracking)
    for _ in range(2):
        register(registry, logged_model(tracking, run_id), run_id)
    for aliased in ("1", "2"):
        registry.point("digits", "champion", aliased)
        assert registry.at("digits", "champion").version == aliased
    assert registry.at("digits", "champion").tags["training_run"] == run_id
    for _ in range(2):  # taking away what is not there changes nothing
        registry.point("digits", "champion", None)
        assert registry.at("digits", "champion") is None


def test_an_alias_of_what_does_not_exist_is_none(tracking: Tracking):
    registry, run_id = Registry(tracking), open_run(tracking)
    assert registry.at("digits", "champion") is None, "no such model"
    register(registry, logged_model(tracking, run_id), run_id)
    assert registry.at("digits", "champion") is None, "no such alias"
    registry.point("digits", "champion", "1")
    tracking.client.delete_model_version("digits", "1")
    assert registry.at("digits", "champion") is None, "its version was deleted"


def test_a_version_can_be_described_after_it_was_made(tracking: Tracking):
    registry, run_id = Registry(tracking), open_run(tracking)
    register(registry, logged_model(tracking, run_id), run_id)
    registry.annotate("digits", "1", description="The first.", tags={"decision": "promoted"})
    assert registry.versions("digits")[0].tags["decision"] == "promoted"
    assert tracking.client.get_model_version("digits", "1").description == "The first."


# What training writes, on its way to MLflow


class MoodyTracking(Tracking):
    """Real MLflow that refuses metrics, or takes them and loses its reply, when told to: no server does on command."""

    mood = "well"
    num_requests = 0

    def log_metrics(
        self, run_id: str, rows: Sequence[tuple[str, float, int, float]], model_id: str | None = None
    ) -> None:
        self.num_requests += 1
        if self.mood == "refuses":
            raise MlflowException("500 Internal Server Error")
        super().log_metrics(run_id, rows, model_id)
        if self.mood == "loses its reply":
            raise MlflowException("connection reset by peer")


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
    monkeypatch.setattr(run_mirror, "SECONDS_BETWEEN_BATCHES", 0.0)
    monkeypatch.setattr(run_mirror, "SECONDS_AFTER_A_FAILURE", 0.0)


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
    mirror = RunMirror(moody, run_id, training.folder)
    training.write(1, 2)
    assert mirror.send_new()["step"] == 2
    moody.mood = "refuses"
    training.write(3, 4)
    assert mirror.send_new()["step"] == 4, "training is watched as before"
    assert curve(moody, run_id) == [1, 2]
    moody.mood = "well"
    training.write(5)
    mirror.send_new()
    mirror.flush()
    assert curve(moody, run_id) == [1, 2, 3, 4, 5]
    assert curve(moody, run_id, "loss/discriminator") == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("at_once")
def test_rows_whose_reply_was_lost_are_in_mlflow_once(moody: MoodyTracking, training: Training):
    run_id = open_run(moody)
    mirror = RunMirror(moody, run_id, training.folder)
    training.write(1, 2)
    moody.mood = "loses its reply"
    mirror.send_new()
    moody.mood = "well"
    training.write(3)
    mirror.flush()
    assert curve(moody, run_id) == [1, 2, 3]


@pytest.mark.usefixtures("at_once")
def test_a_batch_that_broke_off_in_the_middle_is_in_mlflow_once(
    moody: MoodyTracking, training: Training, monkeypatch: pytest.MonkeyPatch
):
    run_id = open_run(moody)
    mirror = RunMirror(moody, run_id, training.folder)
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
        mirror.send_new()
    assert sizes == [MAX_BATCH, 4]
    mirror.flush()
    assert curve(moody, run_id) == steps


@pytest.mark.usefixtures("at_once")
def test_after_a_restart_only_what_is_new_is_sent(moody: MoodyTracking, training: Training):
    run_id = open_run(moody)
    training.write(1, 2)
    training.write_sample(2)
    RunMirror(moody, run_id, training.folder).send_new()
    moody.mood = "refuses"
    training.write(3)
    RunMirror(moody, run_id, training.folder).send_new()
    moody.mood = "well"
    moody.num_requests = 0
    training.write(4)
    training.write_sample(4)
    restarted = RunMirror(moody, run_id, training.folder)
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
    RunMirror(moody, open_run(moody), training.folder).flush()
    anew = open_run(moody, "f2")
    RunMirror(moody, anew, training.folder).flush()
    assert curve(moody, anew) == [1, 2]
    assert pictures(moody, anew) == 1


@pytest.mark.usefixtures("at_once")
def test_a_line_that_is_still_being_written_waits(moody: MoodyTracking, training: Training):
    run_id = open_run(moody)
    mirror = RunMirror(moody, run_id, training.folder)
    assert mirror.send_new() is None, "there is no file yet"
    line = training.line(2)
    training.write(1)
    file = training.folder / "metrics.jsonl"
    with file.open("a") as stream:
        stream.write(line[:20])
    assert mirror.send_new()["step"] == 1
    assert curve(moody, run_id) == [1]
    with file.open("a") as stream:
        stream.write(line[20:])
    assert mirror.send_new()["step"] == 2
    assert curve(moody, run_id) == [1, 2]


def test_a_server_that_refuses_is_left_in_peace_for_a_while(moody: MoodyTracking, training: Training):
    mirror = RunMirror(moody, open_run(moody), training.folder)
    training.write(1)
    moody.mood = "refuses"
    for _ in range(20):
        mirror.send_new()
    assert moody.num_requests == 1


def test_metrics_that_mlflow_never_takes_end_in_a_clear_error_and_are_not_lost(
    moody: MoodyTracking, training: Training, monkeypatch: pytest.MonkeyPatch
):
    pauses: list[float] = []
    monkeypatch.setattr("flows.run_mirror.time.sleep", pauses.append)
    run_id = open_run(moody)
    training.write(1)
    moody.mood = "refuses"
    with pytest.raises(TrackingError, match=r"500 Internal Server Error; run again, nothing needs training anew"):
        RunMirror(moody, run_id, training.folder).flush()
    assert pauses == sorted(pauses)
    assert moody.num_requests == run_mirror.FINAL_ATTEMPTS
    moody.mood = "well"
    RunMirror(moody, run_id, training.folder).flush()
    assert curve(moody, run_id) == [1]


# A server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[tuple[Tracking, Tracking]]:
    """One MLflow with a finished and a failed run and a champion: as SQLite, and as a real server on the same file."""
    folder = empty_project(tmp_path_factory.mktemp("served"))
    database = f"sqlite:///{folder / 'mlflow.db'}"
    shutil.copy(empty_database, folder / "mlflow.db")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    before = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
        direct = Tracking(Settings(project=folder))
        record = finished_run(direct)
        direct.fail(open_run(direct, "failed"), "the disk is full")
        registry = Registry(direct)
        register(registry, logged_model(direct, record.run_id), record.run_id)
        registry.point("digits", "champion", "1")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        over_http = Tracking(Settings(project=folder))
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--backend-store-uri", database, "--no-serve-artifacts"],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )
    try:
        wait_until_it_answers(over_http, server)
        yield direct, over_http
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(PATIENCE_SECONDS)
        mlflow.set_tracking_uri(before)


def wait_until_it_answers(tracking: Tracking, server: subprocess.Popen[bytes]) -> None:
    for _ in range(PATIENCE_SECONDS * 5):
        assert server.poll() is None, "the server ended"
        try:
            return tracking.check()
        except TrackingError:
            time.sleep(0.2)
    raise AssertionError("the server did not start")


def test_a_server_gives_the_same_records_as_its_database(served: tuple[Tracking, Tracking]):
    direct, over_http = served
    assert over_http.is_server
    assert not direct.is_server
    assert find(over_http) == find(direct) is not None
    assert find(over_http, dataset="digits") == find(direct)


def test_a_server_finds_nothing_where_there_is_nothing(served: tuple[Tracking, Tracking]):
    _, over_http = served
    assert find(over_http, "failed") is None
    assert find(over_http, "never made") is None
    assert find(over_http, experiment="never-made") is None
    assert find(over_http, dataset="photos") is None


def test_a_server_gives_the_same_alias_as_its_database(served: tuple[Tracking, Tracking]):
    direct, over_http = (Registry(tracking) for tracking in served)
    assert over_http.at("digits", "champion") == direct.at("digits", "champion") is not None
    assert over_http.at("digits", "previous") is direct.at("digits", "previous") is None
    assert over_http.at("photos", "champion") is direct.at("photos", "champion") is None


def test_what_is_written_through_the_server_is_found_without_it(served: tuple[Tracking, Tracking]):
    direct, over_http = served
    record = finished_run(over_http, "through the server")
    assert find(direct, "through the server") == record


def test_what_a_server_refuses_is_an_error_and_not_an_absence(served: tuple[Tracking, Tracking]):
    _, over_http = served
    with pytest.raises(TrackingError, match=rf"{over_http.uri} refused runs/search: 400"):
        over_http.ask("POST", "runs/search", {"experiment_ids": ["1"], "filter": "nonsense"})


def test_a_server_that_does_not_answer_is_named_with_what_to_do(
    tracking: Tracking, dead_address: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dead_address)
    unreachable = Tracking(tracking.settings)
    with pytest.raises(TrackingError) as refused:
        unreachable.check()
    assert f"the MLflow server at {dead_address} does not answer" in str(refused.value)
    assert "atelier up" in str(refused.value)
    assert "unset MLFLOW_TRACKING_URI" in str(refused.value)


def test_a_server_that_stops_answering_is_an_error_and_not_an_absence(
    tracking: Tracking, dead_address: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dead_address)
    unreachable = Tracking(tracking.settings)
    with pytest.raises(TrackingError, match=dead_address):
        find(unreachable)
    with pytest.raises(TrackingError, match=dead_address):
        Registry(unreachable).at("digits", "champion")
