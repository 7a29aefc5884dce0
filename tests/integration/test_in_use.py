"""A project folder that was made again, as a new container's is, goes on from the last version; it loses none."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from flows.config.model_config import read_model_config
from flows.config.settings import Settings
from flows.datasets.dvc_cache import files_of
from flows.datasets.dvc_file import tracked_md5
from flows.datasets.expectations import DatasetRefusedError
from flows.datasets.history import versions
from flows.datasets.in_use import find_in_use
from flows.datasets.remote_objects import missing_in_remote
from flows.datasets.removal import readmit, remove_from_dataset
from flows.datasets.withdrawals import RemovalError, withdrawals
from flows.runtime.records import DatasetVersion
from flows.tracking.runs import Tracking
from gan_models.data.shards import read_rows
from tests.support.clocks import clock_off_by
from tests.support.project import Project
from tests.support.s3_server import S3Server

pytestmark = pytest.mark.usefixtures("without_prefect")


@pytest.fixture
def first(built: DatasetVersion) -> DatasetVersion:
    """A version with 90 images."""
    return built


def num_images(version: DatasetVersion) -> int:
    return version.num_train + version.num_evaluation


def make_folder_again(project: Project, data_dvc: str | None) -> None:
    """Leave of the project what its image has: MLflow and the remote are servers elsewhere."""
    for path in ("data/tiny", ".dvc/cache", ".atelier/datasets", ".atelier/file-cache"):
        shutil.rmtree(project.root / path, ignore_errors=True)
    for path in ("data.dvc", "data/tiny.withdrawn.csv"):
        (project.root / path).unlink(missing_ok=True)
    if data_dvc is not None:
        (project.root / "data.dvc").write_text(data_dvc)


def only_new_images(project: Project) -> None:
    """The night's 6 images: those before were taken and cleared away."""
    shutil.rmtree(project.images, ignore_errors=True)
    project.add_digits(30, 32)


def remove(project: Project, source: str) -> DatasetVersion:
    settings = Settings()
    config = read_model_config(project.root / project.config).dataset
    return remove_from_dataset(
        settings, Tracking(settings), config, ids=[], sources=[source], reason="asked by mail", who="Ada"
    )


def take_in_again(project: Project, source: str) -> None:
    settings = Settings()
    config = read_model_config(project.root / project.config).dataset
    readmit(settings, Tracking(settings), config, ids=[], sources=[source], reason="a mistake", who="Ada")


def test_sources_that_are_again_as_they_were_do_not_bring_the_version_of_then_back(
    project: Project, first: DatasetVersion, build: Callable[[], DatasetVersion]
):
    project.add_digits(30, 32)
    grown = build()
    for image in project.images.glob("*/03[01].png"):
        image.unlink()
    again = build()
    assert num_images(first) < num_images(grown)
    assert again.dvc_md5 == grown.dvc_md5 == tracked_md5(Settings(), "tiny")
    assert build().skipped


def sources(project: Project) -> set[str]:
    return {row["source"] for row in read_rows(project.root / "data" / "tiny", ["source"])}


@pytest.mark.parametrize("image", ["without data.dvc", "with an older data.dvc"])
def test_a_folder_made_again_keeps_the_images_that_left_their_source(
    project: Project, first: DatasetVersion, build: Callable[[], DatasetVersion], image: str
):
    older = (project.root / "data.dvc").read_text() if "older" in image else None
    project.add_digits(30, 31)
    last = build()
    assert num_images(last) == 93
    make_folder_again(project, older)
    only_new_images(project)
    assert find_in_use(Settings(), Tracking(Settings()), "tiny").md5 == last.dvc_md5
    version = build()
    assert num_images(version) == 96
    assert [known.in_use for known in versions(Settings(), Tracking(Settings()), "tiny")] == [False, False, True]


def test_a_folder_made_again_with_nothing_new_names_the_last_version_and_fetches_nothing(
    project: Project, first: DatasetVersion, build: Callable[[], DatasetVersion]
):
    make_folder_again(project, None)
    assert build().skipped
    assert tracked_md5(Settings(), "tiny") == first.dvc_md5
    assert not (project.root / "data" / "tiny").exists()


def test_a_version_that_mlflow_does_not_know_is_in_use_as_data_dvc_says(
    project: Project, first: DatasetVersion, build: Callable[[], DatasetVersion]
):
    file = project.root / "data.dvc"
    file.write_text(file.read_text().replace(first.dvc_md5, "0" * 32 + ".dir"))
    found = find_in_use(Settings(), Tracking(Settings()), "tiny")
    assert (found.md5, found.record, found.is_behind) == ("0" * 32 + ".dir", None, False)
    assert found.newest is not None
    assert found.newest.dvc_md5 == first.dvc_md5


@pytest.mark.parametrize("image", ["without data.dvc", "with an older data.dvc", "with the newest data.dvc"])
def test_a_withdrawn_image_stays_out_when_the_folder_is_made_again_and_the_dataset_is_built_again(
    project: Project, first: DatasetVersion, build: Callable[[], DatasetVersion], image: str
):
    older = (project.root / "data.dvc").read_text()
    gone = "inbox/digit-7/003.png"
    remove(project, gone)
    newest = (project.root / "data.dvc").read_text()
    make_folder_again(project, None if "without" in image else older if "older" in image else newest)
    project.edit("dataset", evaluation_share=0.4)
    version = build()
    assert num_images(version) == 89
    assert gone not in sources(project)
    assert [entry.source for entry in withdrawals(Settings(), "tiny").values()] == [gone]


def test_a_withdrawn_image_comes_back_when_a_person_readmits_it_and_not_when_its_line_is_lost(
    project: Project, first: DatasetVersion, build: Callable[[], DatasetVersion]
):
    source = "inbox/digit-7/003.png"
    remove(project, source)
    file = project.root / "data" / "tiny.withdrawn.csv"
    listed = file.read_text()
    file.write_text(listed.splitlines()[0] + "\n")
    assert num_images(build()) == 89
    assert file.read_text() == listed
    with pytest.raises(RemovalError, match=r"no image on the list came from 'inbox/1\.png'"):
        take_in_again(project, "inbox/1.png")
    take_in_again(project, source)
    assert num_images(build()) == 90
    file.write_text(listed)
    settings = Settings()
    assert find_in_use(settings, Tracking(settings), "tiny").listed.withdrawn == {}, "an old list withdraws nothing"


def test_what_was_decided_and_built_last_holds_though_that_host_has_the_slower_clock(
    project: Project, first: DatasetVersion, build: Callable[[], DatasetVersion]
):
    source = "inbox/digit-7/003.png"
    with clock_off_by(minutes=20):
        remove(project, source)
        take_in_again(project, source)
        project.add_digits(30, 31)
        assert num_images(build()) == 93
    with clock_off_by(minutes=-20):
        last = remove(project, source)
    make_folder_again(project, None)
    found = find_in_use(Settings(), Tracking(Settings()), "tiny")
    assert [entry.source for entry in found.listed.withdrawn.values()] == [source]
    assert found.md5 == last.dvc_md5
    assert versions(Settings(), Tracking(Settings()), "tiny")[-1].in_use


def test_what_is_nowhere_is_built_from_its_sources_unless_most_of_it_would_be_gone(
    project: Project, first: DatasetVersion, build: Callable[[], DatasetVersion], capsys: pytest.CaptureFixture[str]
):
    make_folder_again(project, None)
    shutil.rmtree(project.root / ".atelier" / "dvc-remote")
    whole = shutil.move(project.images, project.root / "kept")
    project.add_digits(30, 40)
    with pytest.raises(
        DatasetRefusedError,
        match=r"there are 30 images, and the last version had 90: more than 50% are gone; .*`dataset.max_shrink`",
    ):
        build()
    assert f"version {first.dvc_md5[:7]} is neither here nor in" in capsys.readouterr().out
    assert tracked_md5(Settings(), "tiny") is None
    project.edit("dataset", max_shrink=1)
    assert num_images(build()) == 30
    shutil.copytree(whole, project.images, dirs_exist_ok=True)
    assert num_images(build()) == 120


def test_a_data_dvc_whose_versions_a_new_bucket_never_had_stops_nobody(
    project: Project,
    build: Callable[[], DatasetVersion],
    s3_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    for name, value in {**s3_server.environment(), "AWS_ENDPOINT_URL": s3_server.endpoint}.items():
        monkeypatch.setenv(name, value)
    bucket = s3_server.new_bucket()
    remote = f"[core]\n    remote = s3\n['remote \"s3\"']\n    url = s3://{bucket}\n    verify = true\n"
    (project.root / ".dvc" / "config.local").write_text(remote)
    elsewhere = f"outs:\n- path: data/tiny\n  hash: md5\n  md5: {'a' * 32}.dir\n"
    (project.root / "data.dvc").write_text(elsewhere)

    version = build()
    assert num_images(version) == 90
    assert "version aaaaaaa is neither here nor in s3://" in capsys.readouterr().out
    assert missing_in_remote(Settings(), version.dvc_md5) == []

    make_folder_again(project, elsewhere)
    only_new_images(project)
    assert num_images(build()) == 96, "the image's data.dvc does not hide the version that MLflow knows"
    (shard, *_) = (digest for path, digest in files_of(Settings(), version.dvc_md5) if path.endswith(".parquet"))
    s3_server.client().delete_object(Bucket=bucket, Key=f"files/md5/{shard[:2]}/{shard[2:]}")
    assert build().skipped
    assert missing_in_remote(Settings(), version.dvc_md5) == [], "and a shard that was lost there is sent again"


def test_images_cut_into_other_tiles_are_counted_afresh(project: Project, tmp_path: Path, build):
    shutil.rmtree(project.images)
    project.images.mkdir()
    for number in range(12):
        Image.effect_noise((64, 64), 90).save(project.images / f"{number}.png")
    project.edit("dataset", tile=16)
    tiled = build()
    project.edit("dataset", tile=None)
    assert num_images(build()) < num_images(tiled) / 2
