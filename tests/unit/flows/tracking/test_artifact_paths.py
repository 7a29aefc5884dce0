"""A project folder that was moved or copied finds its artifacts and writes new ones where it is."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest

from flows.config.settings import Settings
from flows.tracking.artifact_paths import ArtifactPathError
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking
from tests.support.mlflow_helpers import empty_project, finished_run, logged_model, open_run, register


@pytest.fixture
def enter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Tracking]]:
    """Work with the MLflow of a project folder."""
    monkeypatch.delenv("ATELIER_HOME", raising=False)
    uri = mlflow.get_tracking_uri()

    def tracking(folder: Path) -> Tracking:
        settings = Settings(project=folder)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{settings.state / 'mlflow.db'}")
        entered = Tracking(settings)
        entered.check()
        return entered

    yield tracking
    mlflow.set_tracking_uri(uri)


@pytest.fixture
def first(tmp_path: Path, empty_database: Path, enter: Callable[[Path], Tracking]) -> tuple[Path, str, str]:
    """A project with an artifact of a run and a file of a registered model: its folder, and the ids of both."""
    folder = tmp_path / "here, before"
    folder.mkdir()
    empty_project(folder)
    (folder / ".atelier").mkdir()
    shutil.copy(empty_database, folder / ".atelier" / "mlflow.db")
    tracking = enter(folder)
    run_id = finished_run(tracking).run_id
    tracking.log_json(run_id, {"from": "before"}, "said.json")
    model_id = logged_model(tracking, run_id)
    file = tmp_path / "bundle.json"
    file.write_text("{}")
    tracking.client.log_model_artifact(model_id, str(file), "artifacts/bundle")
    register(Registry(tracking), model_id, run_id)
    return folder, run_id, model_id


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree])
def test_artifacts_are_where_the_project_is(
    first: tuple[Path, str, str],
    enter: Callable[[Path], Tracking],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    how: Callable[[Path, Path], object],
):
    before, run_id, model_id = first
    after = tmp_path / "there"
    how(before, after)
    tracking = enter(after)
    assert f"this project was in {before}" in capsys.readouterr().out
    assert "before" in tracking.fetch(run_id, "said.json").read_text()
    location = tracking.client.get_logged_model(model_id).artifact_location  # MLflow's client caches what it lists
    assert (after / location.removeprefix(f"{after.as_uri()}/") / "artifacts" / "bundle" / "bundle.json").exists()
    tracking.log_json(open_run(tracking, "f2"), {"from": "after"}, "new.json")
    assert [file.name for file in after.rglob("new.json")] == ["new.json"]
    assert list(before.rglob("new.json")) == []
    enter(after)
    assert capsys.readouterr().out == "", "it is told once"


def test_a_database_that_was_copied_without_its_artifacts_is_refused(
    first: tuple[Path, str, str], enter: Callable[[Path], Tracking], tmp_path: Path
):
    before, _, _ = first
    after = tmp_path / "there"
    shutil.copytree(before, after, ignore=shutil.ignore_patterns("mlartifacts"))
    with pytest.raises(
        ArtifactPathError, match=r"artifacts \(digits\) are in .*here, before.* alone; copy that folder"
    ):
        enter(after)
