"""Lineage: a commit where the code is that commit's, else the difference, and git's reason where it refuses."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from flows.config.settings import Settings
from flows.datasets import git
from flows.datasets.errors import VersioningError
from flows.datasets.lineage import keep_lineage
from flows.tracking.runs import DATASETS_EXPERIMENT, Tracking
from tests.support.project import Project


@pytest.fixture
def settings(project: Project) -> Settings:
    return Settings()


def run_with_lineage(settings: Settings) -> tuple[str | None, dict[str, str], str]:
    """The commit, the tags and the difference that a run keeps."""
    tracking = Tracking(settings)
    run_id = tracking.open_run(DATASETS_EXPERIMENT, "dataset", "f1", name="tiny", tags={"dataset": "tiny"})
    commit = keep_lineage(tracking, run_id, "dataset")
    names = [file.path for file in MlflowClient().list_artifacts(run_id)]
    difference = Path(MlflowClient().download_artifacts(run_id, "source.diff")).read_text() if names else ""
    return commit, tracking.tags(run_id), difference


def test_what_the_platform_writes_itself_is_no_difference(project: Project, settings: Settings):
    (project.root / "data.dvc").write_text("outs: []\n")
    project.git("add", "data.dvc")
    project.git("commit", "--quiet", "-m", "data")
    for file in ("data.dvc", "data/tiny.withdrawn.csv", "data/.gitignore", ".dvc/config"):
        (project.root / file).open("a").write("# changed\n")
    head = project.git("rev-parse", "HEAD").strip()
    commit, tags, difference = run_with_lineage(settings)
    assert (commit, tags["git_commit"], difference) == (head, head, "")


def test_where_code_differs_the_run_keeps_a_patch_that_makes_the_commit_what_was_run(
    project: Project, settings: Settings
):
    file = project.root / project.config
    changed = file.read_text() + "# tried with more steps\n"
    file.write_text(changed)
    (project.root / "configs" / "new.yaml").write_text("name: new\n")
    (project.root / "notes.txt").write_text("not code")
    commit, _, difference = run_with_lineage(settings)
    assert commit == project.git("rev-parse", "HEAD").strip() + "-dirty"
    assert "notes.txt" not in difference
    file.unlink()
    (project.root / "configs" / "new.yaml").unlink()
    project.git("checkout", "--", project.config)
    (project.root / ".atelier" / "kept.diff").write_text(difference)
    project.git("apply", ".atelier/kept.diff")
    assert file.read_text() == changed
    assert (project.root / "configs" / "new.yaml").read_text() == "name: new\n"


def test_a_patch_names_secret_files_without_their_content_strikes_secret_values_and_has_an_end(
    project: Project, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-value-1")
    monkeypatch.setattr(git, "MAX_DIFFERENCE", 2000)
    (project.root / "deploy" / "secrets").mkdir(parents=True)
    secrets = ("deploy/secrets/key", ".env", "server.pem", "configs/credentials.yaml")
    for name in secrets[:3]:
        (project.root / name).write_text("before")
    project.git("add", ".")
    project.git("commit", "--quiet", "-m", "secrets by mistake")
    for name in secrets:
        (project.root / name).write_text("hunter2")
    config = project.root / project.config
    config.write_text(config.read_text() + "# very-secret-value-1 s3://me:opensesame@host/x\n")
    (project.root / "configs" / "zzz.yaml").write_text("# padding\n" * 1000)
    found = git.difference(settings)
    assert [line for line in found.splitlines() if "left out" in line] == [
        f"# left out because of its name: {name}" for name in sorted(secrets)
    ]
    assert not any(secret in found for secret in ("hunter2", "very-secret-value-1", "opensesame"))
    assert "cut off: the whole has" in found
    assert len(found) < 2200


def test_code_about_secrets_is_code(project: Project, settings: Settings):
    (project.root / "flows").mkdir()
    (project.root / "flows" / "secrets.py").write_text("MASK = '***'\n")
    assert "+MASK = '***'" in git.difference(settings)


def test_a_project_that_git_refuses_is_told_of_in_gits_words_and_versions_are_made(
    project: Project, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as where root runs in the project of another user
    with pytest.raises(VersioningError, match=r"dubious ownership .* git config --global --add safe\.directory"):
        git.checked_out(settings)
    commit, tags, _ = run_with_lineage(settings)
    assert commit is None
    assert "dubious ownership" in tags["git_refused"]
    assert "no commit in the lineage" in capsys.readouterr().out
    assert not git.is_in_git(settings)


def test_versions_in_git_are_found_in_commits_of_data_dvc(project: Project, settings: Settings):
    file = project.root / "data.dvc"
    for content in ("outs: []\n", "outs:\n- path: data/ä\n", None, "outs: [1]\n"):
        file.write_text(content) if content else file.unlink()
        project.git("add", "data.dvc")
        project.git("commit", "--quiet", "-m", "x")
    found = [content for _, _, content in git.commits_of(settings, "data.dvc")]
    assert found == ["outs: []\n", "outs:\n- path: data/ä\n", "outs: [1]\n"]
