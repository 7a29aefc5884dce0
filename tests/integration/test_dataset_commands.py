"""`atelier dataset` and `atelier storage` as a person meets them."""

import shutil
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from flows.config.settings import Settings
from flows.datasets.dvc_remote import check_remote, default_remote
from flows.datasets.errors import VersioningError
from flows.datasets.versions import materialize
from flows.runtime.records import DatasetVersion
from gan_models.data.shards import read_rows
from tests.support.project import Project
from tests.support.s3_server import SECRETS, S3Server

Atelier = Callable[..., str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Atelier:
    """Runs a command in this process and gives what it prints; errors are raised as they are."""

    def run(*arguments: str) -> str:
        capsys.readouterr()
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output + capsys.readouterr().out

    return run


def test_a_config_alone_is_the_stage_and_a_command_is_a_command(monkeypatch: pytest.MonkeyPatch, said: Atelier):
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr("flows.cli.dataset.run_stage", lambda stage, config: asked.append((stage, str(config))))
    said("dataset", "configs/tiny.yaml")
    said("dataset", "build", "configs/tiny.yaml")
    assert asked == [("dataset", "configs/tiny.yaml")] * 2
    assert "withdrawal request" in said("dataset", "--help")
    mistyped = CliRunner().invoke(app, ["dataset", "lgo", "configs/tiny.yaml"])
    assert mistyped.exit_code == 2
    assert "No such command 'lgo'" in mistyped.output


def test_the_first_version_has_nothing_before_it(project: Project, built: DatasetVersion, said: Atelier):
    with pytest.raises(VersioningError, match="is the first version of 'tiny'; there is nothing before it"):
        said("dataset", "diff", project.config)


def test_the_story_of_a_dataset_is_told_in_words_and_numbers(project: Project, built: DatasetVersion, said: Atelier):
    key, source = next(
        (row["id"], row["source"]) for row in read_rows(project.root / "data" / "tiny", ["id", "source"])
    )
    said("dataset", "remove", project.config, "--id", key, "--reason", "a mistake", "--who", "Ada")
    log = said("dataset", "log", project.config)
    assert built.dvc_md5[:7] in log
    assert "the first" in log
    assert "1 withdrawn by Ada: a mistake" in log
    assert "not committed" in log
    diff = said("dataset", "diff", project.config)
    assert "90 -> 89: 0 added, 1 removed" in diff
    assert f"removed     {key[:12]} {source}, withdrawn by Ada" in diff
    assert "1 kept, 1 new, 1 gone" in diff
    shown = said("dataset", "show", project.config, built.dvc_md5[:7])
    assert "images     90:" in shown
    assert "withdrawn  1 images" in shown
    assert built.run_id in shown


@pytest.fixture
def owner(s3_server: S3Server, project: Project, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket, and this process as its owner."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return s3_server.new_bucket()


def test_one_command_sends_versions_to_s3_from_then_on_and_writes_no_credentials(
    project: Project, s3_server: S3Server, owner: str, built: DatasetVersion, said: Atelier
):
    text = said("storage", "set", f"s3://{owner}/datasets", "--endpoint-url", s3_server.endpoint)
    assert f"s3://{owner}/datasets" in text
    assert "pushed" in text, "the version in use goes along"
    config = (project.root / ".dvc" / "config").read_text()
    assert not any(secret in config for secret in SECRETS.values())
    assert "verify = true" in config.split('"s3"')[1]
    works = check_remote(Settings())
    assert "written once only (If-None-Match)" in works
    assert [key for key in keys(s3_server, owner) if "probe" in key] == [], "what was tried is cleared away"
    shown = said("storage", "show")
    assert "from the environment (AWS_ACCESS_KEY_ID)" in shown
    assert "those in use are there" in shown
    shutil.rmtree(project.root / ".dvc" / "cache")
    assert len(read_rows(materialize(Settings(), "tiny", built.dvc_md5), ["id"])) == 90


def keys(server: S3Server, bucket: str) -> list[str]:
    return [found["Key"] for found in server.client().list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("s3://{bucket}-not-there/x", "no such bucket"),
        ("s3://key:secret@{bucket}/x", "without credentials"),
        ("gs://{bucket}/x", "gs:// is not known here"),
    ],
)
def test_a_remote_that_cannot_be_used_is_refused_and_the_old_one_stays(
    project: Project, s3_server: S3Server, owner: str, said: Atelier, url: str, cause: str
):
    before = (project.root / ".dvc" / "config").read_text()
    with pytest.raises(VersioningError, match=cause):
        said("storage", "set", url.format(bucket=owner), "--endpoint-url", s3_server.endpoint)
    assert (project.root / ".dvc" / "config").read_text() == before
    assert default_remote(Settings()).name == "local"


def test_a_reader_cannot_make_a_bucket_the_remote(
    project: Project, s3_server: S3Server, owner: str, said: Atelier, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRETS["reader"])
    with pytest.raises(VersioningError, match="no right to do that"):
        said("storage", "set", f"s3://{owner}/x", "--endpoint-url", s3_server.endpoint)


def test_storage_goes_by_its_old_name_too_which_help_does_not_show(project: Project, said: Atelier):
    assert said("remote", "show") == said("storage", "show")
    listed = said("--help")
    assert "storage" in listed
    assert " remote " not in listed


def test_versions_can_be_sent_to_a_folder_again(project: Project, said: Atelier):
    said("storage", "set", "shared/versions")
    assert default_remote(Settings()).url.endswith("shared/versions")
    assert "../shared/versions" in (project.root / ".dvc" / "config").read_text(), "a clone elsewhere finds its own"
