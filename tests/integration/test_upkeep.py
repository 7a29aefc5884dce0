"""What DVC's cache and the remote have lost is sent again from what is here; a cache may be anywhere."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.config.settings import Settings
from flows.datasets.dvc_cache import cache_folder, files_of, not_in_cache
from flows.datasets.errors import LostVersionError, VersioningError
from flows.datasets.remote_objects import missing_in_remote
from flows.datasets.upkeep import check_kept
from flows.datasets.versions import materialize, restore
from flows.lookup.dataset import find_kept
from flows.runtime.records import DatasetVersion
from flows.tracking.context import StageContext
from gan_models.data.shards import read_rows
from tests.support.project import Project

pytestmark = pytest.mark.usefixtures("without_prefect")


@pytest.fixture
def version(built: DatasetVersion) -> DatasetVersion:
    """A version, in `data/`, in the cache and in the remote."""
    return built


def lose(project: Project, *where: str) -> None:
    folders = {
        "the cache": ".dvc/cache",
        "the remote": ".atelier/dvc-remote",
        "data/": "data/tiny",
        "its own folder": ".atelier/datasets",
    }
    for place in where:
        shutil.rmtree(project.root / folders[place])


@pytest.mark.parametrize("kept", ["data/", "its own folder", "the cache"])
def test_a_version_that_the_remote_lost_is_sent_again_from_wherever_it_is_here(
    project: Project, version: DatasetVersion, build: Callable[[], DatasetVersion], kept: str
):
    settings = Settings()
    materialize(settings, "tiny", version.dvc_md5)
    lose(project, "the remote", *({"data/", "its own folder", "the cache"} - {kept}))
    with pytest.raises(VersioningError, match="the remote has lost the versions in use of tiny; run `atelier dataset`"):
        check_kept(settings)
    ctx = StageContext.open(project.config)
    assert find_kept(ctx, version.fingerprint) is None, "a parent does not take it for done"
    again = build()
    assert again.skipped
    assert find_kept(ctx, version.fingerprint) == version
    assert missing_in_remote(settings, version.dvc_md5) == []
    assert check_kept(settings) == f"tiny {version.dvc_md5[:7]}"
    shutil.rmtree(project.root / ".dvc" / "cache")
    shutil.rmtree(project.root / ".atelier" / "datasets", ignore_errors=True)
    assert len(read_rows(materialize(settings, "tiny", again.dvc_md5), ["id"])) == 90


def test_a_version_that_is_nowhere_is_built_again_and_until_then_training_says_what_to_run(
    project: Project, version: DatasetVersion, build: Callable[[], DatasetVersion]
):
    lose(project, "the remote", "the cache", "data/")
    assert "not here yet: built when it is asked for" in check_kept(Settings())
    with pytest.raises(LostVersionError, match="run `atelier dataset` with its config"):
        materialize(Settings(), "tiny", version.dvc_md5)
    again = build()
    assert (again.skipped, again.dvc_md5) == (False, version.dvc_md5)
    assert missing_in_remote(Settings(), version.dvc_md5) == []


def test_a_single_shard_that_the_remote_lost_is_sent_again_though_dvc_takes_it_to_be_there(
    project: Project, version: DatasetVersion, build: Callable[[], DatasetVersion]
):
    settings = Settings()
    (shard,) = [digest for path, digest in files_of(settings, version.dvc_md5) if path.endswith(".parquet")][:1]
    (project.root / ".atelier" / "dvc-remote" / "files" / "md5" / shard[:2] / shard[2:]).unlink()
    assert missing_in_remote(settings, version.dvc_md5) == [shard]
    assert build().skipped
    assert missing_in_remote(settings, version.dvc_md5) == []


def test_data_that_was_edited_is_not_taken_for_the_version_that_was_lost(
    project: Project, version: DatasetVersion, build: Callable[[], DatasetVersion]
):
    lose(project, "the remote", "the cache")
    (project.root / "data" / "tiny" / "_layout.json").write_text("{}")
    again = build()
    assert (again.skipped, again.dvc_md5) == (False, version.dvc_md5)


def test_a_remote_that_cannot_be_asked_stops_no_run_that_has_nothing_to_do(
    project: Project, version: DatasetVersion, build: Callable[[], DatasetVersion]
):
    lose(project, "the remote")
    (project.root / ".atelier" / "dvc-remote").write_text("a file where the remote should be")
    assert missing_in_remote(Settings(), version.dvc_md5) is None
    assert build().skipped


@pytest.mark.parametrize("set_in", ["config", "config.local"])
def test_the_cache_is_where_dvcs_settings_say(
    project: Project, build: Callable[[], DatasetVersion], tmp_path: Path, set_in: str
):
    with (project.root / ".dvc" / set_in).open("a") as file:
        file.write(f"[cache]\n    dir = {tmp_path / 'shared'}\n")
    settings = Settings()
    version = build()
    assert cache_folder(settings) == tmp_path / "shared"
    assert not (project.root / ".dvc" / "cache").exists()
    assert not_in_cache(settings, version.dvc_md5) == {}
    shutil.rmtree(project.root / "data" / "tiny")
    restore(settings, "tiny")
    assert len(read_rows(materialize(settings, "tiny", version.dvc_md5), ["id"])) == 90
