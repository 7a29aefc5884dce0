"""MLflow's tracking side: work is found when it is done, taken up when it is not, and written once."""

import json
import shutil
from pathlib import Path

import pytest

from flows.runtime.records import DatasetVersion
from flows.tracking.errors import TrackingError
from flows.tracking.registry import Registry
from flows.tracking.runs import MAX_TAG, Tracking
from tests.support.checked import present
from tests.support.clocks import clock_off_by
from tests.support.mlflow_helpers import (
    EXPERIMENT,
    find,
    finished_run,
    leave_runs_of_an_older_release,
    num_runs,
    open_run,
    version,
)

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


def test_a_record_longer_than_a_tag_is_read_whole_wherever_records_are_read(tracking: Tracking):
    long = version(open_run(tracking)).model_copy(update={"git_commit": "c" * 16_000})
    tracking.finish(long)
    assert len(tracking.tags(long.run_id)["record"]) == MAX_TAG
    assert find(tracking) == long
    assert tracking.record(DatasetVersion, long.run_id) == long
    assert [record for record, _, _ in tracking.finished(DatasetVersion, EXPERIMENT, "dataset")] == [long]


def test_finished_work_is_found_behind_a_page_of_runs_that_an_older_release_left(tracking: Tracking):
    record = finished_run(tracking)
    leave_runs_of_an_older_release(tracking)
    assert find(tracking) == record


def test_what_was_made_last_is_the_newest_whatever_the_clocks_of_hosts_say(tracking: Tracking):
    made = []
    for minutes in (30, -30, 0):
        with clock_off_by(minutes):
            made.append(finished_run(tracking))
        assert find(tracking) == made[-1]
    assert [record for record, _, _ in tracking.finished(DatasetVersion, EXPERIMENT, "dataset")] == made[::-1]


def test_an_artifact_that_this_machine_has_uploaded_is_not_downloaded(tracking: Tracking, tmp_path: Path):
    run_id, folder = open_run(tracking), tmp_path / "evaluation"
    (folder / "figures").mkdir(parents=True)
    for text in ("first", "second"):  # an attempt that was cut short, and the one that went on from it
        (folder / "figures" / "result.json").write_text(text)
        (tmp_path / "metrics.jsonl").write_text(text)
        tracking.log_kept(run_id, folder)
        tracking.log_kept(run_id, tmp_path / "metrics.jsonl")
    kept = [(tracking.fetch(run_id, "evaluation") / "figures" / "result.json"), tracking.fetch(run_id, "metrics.jsonl")]
    assert [file.read_text() for file in kept] == ["second", "second"]
    stored = tracking.settings.artifact_root / EXPERIMENT
    assert {file.name for file in stored.rglob("*.json*")} == {"result.json", "metrics.jsonl"}
    shutil.rmtree(stored)
    assert tracking.fetch(run_id, "evaluation").exists()


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
    tracking.client.delete_experiment(present(tracking.client.get_experiment_by_name(EXPERIMENT)).experiment_id)
    assert find(tracking) is None
    with pytest.raises(TrackingError, match="experiment 'digits' was deleted; restore it or delete it for good"):
        open_run(tracking)


# A server


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
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    unreachable = Tracking(tracking.settings)
    for ask in (
        lambda: find(unreachable),
        lambda: unreachable.record(DatasetVersion, "0" * 32),
        lambda: Registry(unreachable).at("digits", "champion"),
    ):
        with pytest.raises(TrackingError, match=f"the MLflow server at {dead_address} does not answer"):
            ask()
