"""Two workers with folders of their own share an MLflow server and a bucket, and agree on what is in a dataset."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.config.model_config import read_model_config
from flows.config.settings import Settings
from flows.dataset import dataset
from flows.datasets.errors import VersioningError
from flows.datasets.in_use import find_in_use
from flows.datasets.removal import readmit, remove_from_dataset
from flows.datasets.withdrawals import withdrawals
from flows.runtime.records import DatasetVersion
from flows.tracking.runs import Tracking
from gan_models.data.shards import read_rows
from tests.support.mlflow_server import MlflowServer
from tests.support.project import Project, make_project
from tests.support.s3_server import S3Server

NAME = "shared"
Enter = Callable[[str], "Worker"]


class Worker:
    """This process within a project folder."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.settings = Settings()
        self.tracking = Tracking(self.settings)
        self.config = read_model_config(project.root / project.config).dataset

    def build(self) -> DatasetVersion:
        return dataset.fn(self.project.config)

    def remove(self, source: str) -> DatasetVersion:
        return remove_from_dataset(
            self.settings, self.tracking, self.config, ids=[], sources=[source], reason="asked by mail", who="Ada"
        )

    def readmit(self, source: str) -> None:
        readmit(self.settings, self.tracking, self.config, ids=[], sources=[source], reason="a mistake", who="Bob")

    def in_use(self) -> str | None:
        return find_in_use(self.settings, self.tracking, NAME).md5

    def withdrawn(self) -> list[str]:
        return [entry.source for entry in withdrawals(self.settings, NAME).values()]

    def sources(self) -> set[str]:
        return {row["source"] for row in read_rows(self.project.root / "data" / NAME, ["source"])}


@pytest.fixture
def enter(
    tmp_path: Path,
    empty_database: Path,
    mlflow_server: MlflowServer,
    s3_server: S3Server,
    without_prefect: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Enter:
    """Work in the folder of a worker, which is made when it is first entered, and again where it was thrown away."""
    bucket = s3_server.new_bucket()
    shared = {"AWS_ENDPOINT_URL": s3_server.endpoint, "MLFLOW_TRACKING_URI": mlflow_server.address}
    for name, value in {**s3_server.environment(), **shared}.items():
        monkeypatch.setenv(name, value)

    def worker(name: str) -> Worker:
        root = tmp_path / name
        if not root.exists():
            project = make_project(root, empty_database)
            project.edit("dataset", name=NAME)
            remote = f"[core]\n    remote = s3\n['remote \"s3\"']\n    url = s3://{bucket}\n    verify = true\n"
            (root / ".dvc" / "config.local").write_text(remote)
        monkeypatch.setenv("ATELIER_PROJECT", str(root))
        monkeypatch.chdir(root)
        return Worker(Project(root))

    return worker


def test_what_one_worker_withdraws_stays_out_of_what_the_other_builds(
    enter: Enter, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first, second, third = (f"inbox/digit-7/{number:03d}.png" for number in range(3))
    b = enter("b")
    b.build()
    a = enter("a")
    assert a.build().skipped
    a.remove(first)

    b = enter("b")
    assert first in b.sources(), "it knows nothing of it yet"
    built = b.build()
    assert first not in b.sources()
    assert b.withdrawn() == [first]

    a = enter("a")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.environment("reader")["AWS_SECRET_ACCESS_KEY"])
    with pytest.raises(VersioningError):
        a.remove(second)
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    assert a.in_use() == built.dvc_md5, "no version was made of it"
    shutil.rmtree(tmp_path / "a")
    b = enter("b")
    b.remove(third)
    assert b.withdrawn() == [first, second, third]
    assert not {first, second, third} & b.sources()

    a = enter("a")
    a.build()
    assert (a.in_use(), a.withdrawn()) == (b.in_use(), b.withdrawn())
    a.readmit(second)
    b = enter("b")
    b.build()
    assert (second in b.sources(), b.withdrawn()) == (True, [first, third])
