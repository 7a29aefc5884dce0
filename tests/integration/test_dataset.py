"""The dataset stage: the same images make the same version, bad files are set aside, nothing is half written."""

import json
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient
from PIL import Image

from flows.config.settings import Settings
from flows.dataset import dataset
from flows.datasets.builder import DatasetRefusedError
from flows.datasets.dvc_file import tracked_md5
from flows.datasets.errors import VersioningError
from flows.datasets.removal import commit_if_allowed
from flows.runtime.records import DatasetVersion
from flows.sources.base import SourceError
from flows.tracking.runs import DATASETS_EXPERIMENT
from gan_models.data.shards import read_rows
from tests.support.checked import present
from tests.support.dataset_stage import Built
from tests.support.project import Project
from tests.support.s3_server import S3Server

pytestmark = pytest.mark.usefixtures("prefect_server")


def test_the_same_images_make_the_same_version_anywhere(project: Project, built_once: Built):
    here, there = dataset(project.config), built_once.version
    assert here.run_id != there.run_id
    assert (here.content_digest, here.dvc_md5) == (there.content_digest, there.dvc_md5)


def test_bad_files_are_quarantined_with_their_reasons_and_the_rest_is_used(project: Project):
    project.edit("dataset", max_quarantined_share=0.1)
    (project.images / "digit-0" / "empty.png").touch()
    (project.images / "digit-0" / "text.png").write_text("not an image")
    whole = (project.images / "digit-1" / "000.png").read_bytes()
    (project.images / "digit-1" / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("L", (4, 4)).save(project.images / "digit-7" / "small.png")
    version = dataset(project.config)
    assert version.num_quarantined == 4
    assert version.num_train + version.num_evaluation == 90
    table = json.loads(Path(MlflowClient().download_artifacts(version.run_id, "quarantined.json")).read_text())
    reasons = {Path(row[0]).name: row[2] for row in table["data"]}
    assert set(reasons) == {"empty.png", "text.png", "cut.png", "small.png"}
    assert all(reasons.values())
    assert len(list((project.root / ".atelier" / "quarantine" / "tiny").glob("*.png"))) >= 3


def test_too_many_bad_files_refuse_the_version_and_leave_nothing(project: Project):
    for number in range(30):
        (project.images / "digit-0" / f"bad-{number}.png").write_text("not an image")
    with pytest.raises(DatasetRefusedError):
        dataset(project.config)
    assert tracked_md5_of(project) is None
    assert not (project.root / "data" / "tiny").exists()
    client = MlflowClient()
    (run,) = client.search_runs([present(client.get_experiment_by_name(DATASETS_EXPERIMENT)).experiment_id])
    assert run.info.status == "FAILED"


def test_cutting_images_otherwise_builds_the_dataset_anew(project: Project, built: DatasetVersion):
    project.edit("dataset", evaluation_share=0.4)
    second = dataset(project.config)
    assert second.num_evaluation > built.num_evaluation
    assert second.num_train + second.num_evaluation == built.num_train + built.num_evaluation


def test_a_worker_that_may_commit_and_push_leaves_the_new_version_in_git(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    team = tmp_path / "team.git"
    project.git("init", "--quiet", "--bare", str(team))
    project.git("remote", "add", "origin", str(team))
    project.git("config", "push.default", "upstream")
    project.git("push", "--quiet", "--set-upstream", "origin", "HEAD:main")
    monkeypatch.setenv("ATELIER_COMMIT_DATA", "true")
    monkeypatch.setenv("ATELIER_PUSH_DATA", "true")
    (project.root / "unrelated.txt").write_text("someone's work")
    project.git("add", "unrelated.txt")
    version = dataset(project.config)
    assert project.git("show", "HEAD:data.dvc").count(version.dvc_md5) == 1
    assert project.git("status", "--porcelain").strip() == "A  unrelated.txt"
    assert project.git("--git-dir", str(team), "show", "main:data.dvc").count(version.dvc_md5) == 1
    shutil.rmtree(team)
    assert commit_if_allowed(Settings(), "tiny")
    assert (
        "whole in DVC and MLflow, and committed, but not pushed: `git push --quiet` failed" in capsys.readouterr().out
    )


def test_a_version_that_could_not_be_pushed_does_not_exist(project: Project):
    (project.root / ".atelier" / "dvc-remote").write_text("a file where the remote should be")
    with pytest.raises(VersioningError, match="push"):
        dataset(project.config)
    assert tracked_md5_of(project) is None
    (project.root / ".atelier" / "dvc-remote").unlink()
    version = dataset(project.config)
    assert version.num_train + version.num_evaluation == 90


def tracked_md5_of(project: Project) -> str | None:
    return tracked_md5(Settings(), "tiny")


def test_saying_something_else_of_a_source_builds_the_dataset_anew(project: Project, built: DatasetVersion):
    (project.images / "digit-0" / "000.png").unlink()
    project.edit("dataset", sources=[{"path": "inbox", "domain": "digit"}])
    described = dataset(project.config)
    assert described.num_train + described.num_evaluation == built.num_train + built.num_evaluation - 1
    rows = read_rows(project.root / "data" / "tiny", ["domain"])
    assert {row["domain"] for row in rows} == {"digit"}


def test_another_source_joins_what_is_there(project: Project):
    project.edit("dataset", sources=[{"path": "inbox", "domain": "digit"}])
    dataset(project.config)
    (project.images / "digit-0" / "000.png").unlink()
    for number in range(12):
        (project.root / "inbox" / "more" / "x").mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 20 * number).save(project.root / "inbox" / "more" / "x" / f"{number}.png")
    (project.root / "inbox" / "more").rename(project.root / "more")
    project.edit("dataset", sources=[{"path": "inbox", "domain": "digit"}, {"path": "more", "domain": "gray"}])
    grown = dataset(project.config)
    assert grown.num_train + grown.num_evaluation == 90 + 12, "the image that vanished from the inbox is kept"


def test_a_folder_an_archive_and_a_bucket_feed_one_dataset(
    project: Project, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
):
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    bucket = s3_server.new_bucket()
    archive = zipfile.ZipFile(project.root / "more.zip", "w")
    for number, file in enumerate(sorted(project.images.rglob("*.png"))):
        name = file.relative_to(project.images).as_posix()
        if number % 3 == 1:
            archive.write(file, name)
        if number % 3 == 2:
            s3_server.client().upload_file(str(file), bucket, f"nightly/{name}")
        if number % 3:
            file.unlink()
    archive.close()
    sources = ["inbox", "more.zip", f"s3://{bucket}/nightly"]
    project.edit("dataset", sources=sources)
    version = dataset(project.config)
    assert version.num_train + version.num_evaluation == 90
    rows = read_rows(project.root / "data" / "tiny", ["source", "label"])
    assert Counter(next(s for s in sources if row["source"].startswith(s)) for row in rows) == dict.fromkeys(
        sources, 30
    )
    assert {row["label"] for row in rows} == {"digit-0", "digit-1", "digit-7"}
    assert not (project.root / ".atelier" / "arriving" / "tiny").exists()
    assert dataset(project.config).skipped
    figures = MlflowClient().get_run(version.run_id).data.metrics
    assert figures["images/new"] == 90
    assert {"images/quarantined", "images/near_duplicates_across_splits"} <= set(figures)


def test_a_bucket_that_cannot_be_read_leaves_nothing(
    project: Project, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
):
    for name, value in s3_server.environment(secret="wrong").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    project.edit("dataset", sources=["s3://some-bucket/nightly"])
    with pytest.raises(SourceError, match="the secret key is wrong; set AWS_SECRET_ACCESS_KEY again"):
        dataset(project.config)
    assert tracked_md5_of(project) is None
