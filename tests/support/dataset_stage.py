"""The dataset stage without its server, and projects whose dataset is built already."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import mlflow
import pytest
from prefect.settings import PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

from flows.config.settings import Settings
from flows.dataset import dataset
from flows.runtime.records import DatasetVersion
from flows.tracking.artifact_paths import follow_project
from tests.support.project import Project, make_project, point_environment


@pytest.fixture
def without_prefect() -> Iterator[None]:
    """The stage is called as a plain function: that it runs as a flow is for its own tests."""
    with temporary_settings({PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}):
        yield


@pytest.fixture
def build(project: Project) -> Callable[[], DatasetVersion]:
    """Make a version of the project's dataset."""
    return lambda: dataset.fn(project.config)


class Built(NamedTuple):
    """A project whose dataset has a version."""

    project: Project
    version: DatasetVersion


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Built:
    """What the projects of `built` are copies of."""
    project = make_project(tmp_path_factory.mktemp("built") / "project", empty_database)
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        temporary_settings({PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}),
    ):
        point_environment(monkeypatch, project)
        return Built(project, dataset.fn(project.config))


@pytest.fixture
def built(project: Project, built_once: Built, monkeypatch: pytest.MonkeyPatch) -> DatasetVersion:
    """The first version of the project's dataset, of 90 images."""
    become(built_once.project, project, monkeypatch)
    return built_once.version


def become(made: Project, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a project that is a copy of one that was made before: its folder may be there, and is emptied."""
    project.root.mkdir(exist_ok=True)
    for entry in project.root.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    shutil.copytree(made.root, project.root, symlinks=True, dirs_exist_ok=True)
    point_environment(monkeypatch, project)
    follow_project(Settings())
    mlflow.set_tracking_uri(Settings().mlflow_tracking_uri)
