"""A remote that versions were sent to and that holds nothing now: not mounted, emptied, deleted."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.cli.storage import set_to
from flows.config.model_config import read_model_config
from flows.config.settings import Settings
from flows.datasets.errors import VersioningError
from flows.datasets.removal import remove_from_dataset
from flows.datasets.versions import materialize
from flows.runtime.records import DatasetVersion
from flows.tracking.runs import Tracking
from tests.support.project import Project
from tests.support.s3_server import S3Server

pytestmark = pytest.mark.usefixtures("without_prefect")


def make_folder_again(project: Project) -> None:
    """Leave of the project what a new container has."""
    for path in ("data/tiny", ".dvc/cache", ".atelier/datasets", ".atelier/file-cache"):
        shutil.rmtree(project.root / path, ignore_errors=True)
    (project.root / "data.dvc").unlink(missing_ok=True)


def withdraw(project: Project) -> DatasetVersion:
    config = read_model_config(project.root / project.config).dataset
    sources = ["inbox/digit-7/003.png"]
    settings = Settings()
    return remove_from_dataset(settings, Tracking(settings), config, ids=[], sources=sources, reason="x", who="Ada")


def test_a_folder_that_is_not_mounted_is_told_of_and_nothing_is_built_or_sent_until_it_is(
    project: Project, build: Callable[[], DatasetVersion], tmp_path: Path
):
    mount, elsewhere = tmp_path / "Ada's mount", tmp_path / "elsewhere"
    set_to(str(mount / "versions"))
    version = build()
    make_folder_again(project)
    mount.rename(elsewhere)
    mount.mkdir()
    for attempt in (build, lambda: withdraw(project)):
        with pytest.raises(VersioningError, match=r"nothing is left of them there; is it mounted\?"):
            attempt()
    with pytest.raises(VersioningError, match=r"is it mounted\?"):
        materialize(Settings(), "tiny", version.dvc_md5)
    assert not list(mount.iterdir())
    mount.rmdir()
    elsewhere.rename(mount)
    assert build().skipped

    shutil.rmtree(mount)
    set_to(str(mount / "versions"))
    assert build().dvc_md5 == version.dvc_md5, "a person said to begin anew, so it is built again from its sources"


def test_a_bucket_that_was_emptied_or_deleted_is_told_of(
    project: Project, build: Callable[[], DatasetVersion], s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
):
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    bucket, client = s3_server.new_bucket(), s3_server.client()
    remote = f"[core]\n    remote = s3\n['remote \"s3\"']\n    url = s3://{bucket}\n    verify = true\n"
    (project.root / ".dvc" / "config.local").write_text(f"{remote}    endpointurl = {s3_server.endpoint}\n")
    build()
    assert build().skipped
    for found in client.list_objects_v2(Bucket=bucket)["Contents"]:
        client.delete_object(Bucket=bucket, Key=found["Key"])
    again = f"`atelier storage set s3://{bucket} --endpoint-url {s3_server.endpoint}`"
    with pytest.raises(VersioningError, match=f"was the bucket emptied or replaced.*{again}"):
        build()
    client.delete_bucket(Bucket=bucket)
    with pytest.raises(VersioningError, match="was the bucket emptied or replaced"):
        build()
