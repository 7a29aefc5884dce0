"""What the tests of the MLflow adapters share: small real runs, records and models."""

from pathlib import Path

from flows.runtime.records import DatasetVersion
from flows.tracking.registry import Registry
from flows.tracking.runs import FEW, SEQUENCE, Tracking
from tests.support.checked import present

EXPERIMENT = "digits"


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
    return tracking.open_run(EXPERIMENT, "dataset", fingerprint, name="digits", tags={"dataset": "digits"})


def finished_run(tracking: Tracking, fingerprint: str = "f1") -> DatasetVersion:
    record = version(open_run(tracking, fingerprint), fingerprint)
    tracking.finish(record)
    return record


def find(
    tracking: Tracking, fingerprint: str = "f1", experiment: str = EXPERIMENT, **tags: str
) -> DatasetVersion | None:
    return tracking.find_finished(DatasetVersion, experiment, "dataset", fingerprint=fingerprint, **tags)


def num_runs(tracking: Tracking) -> int:
    experiment = present(tracking.client.get_experiment_by_name(EXPERIMENT))
    return len(tracking.client.search_runs([experiment.experiment_id]))


def logged_model(tracking: Tracking, run_id: str) -> str:
    """The id of a logged model without files: registering one reads none."""
    experiment = present(tracking.client.get_experiment_by_name(EXPERIMENT))
    return str(tracking.client.create_logged_model(experiment.experiment_id, "digits", source_run_id=run_id).model_id)


def empty_project(folder: Path) -> Path:
    for name in ("configs", ".dvc"):
        (folder / name).mkdir()
    return folder


def register(registry: Registry, model_id: str, run_id: str) -> str:
    return registry.register(
        "digits", model_id, run_id=run_id, description="Draws digits.", tags={"training_run": run_id}
    )


def leave_runs_of_an_older_release(tracking: Tracking, fingerprint: str = "f1") -> None:
    """Leave newer runs of the same work, with records that cannot be read, more than are asked for at once."""
    for number in range(2, 2 + 2 * FEW):
        run_id = open_run(tracking, fingerprint)
        tracking.set_tags(run_id, {"record": '{"of": "an older release"}', SEQUENCE: f"{number:012d}"})
        tracking.client.set_terminated(run_id, "FINISHED")
