"""Dataset versions on real DVC and git: bytes come back as they went, and what goes wrong changes nothing."""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.config.settings import Settings
from flows.datasets import dvc_remote, git, versions
from flows.datasets.dvc_file import tracked_md5
from flows.datasets.errors import VersioningError
from tests.support.checked import present
from tests.support.project import Project, make_project, point_environment

FIRST = {"shard-1.parquet": b"one" * 1000, "labels/names.json": b"[]"}
SECOND = {**FIRST, "shard-2.parquet": b"two" * 1000}


@dataclass(frozen=True)
class History:
    """A project and the MD5s of two versions of its dataset `alpha`, both in the remote."""

    project: Project
    first: str
    second: str

    @property
    def remote(self) -> Path:
        return self.project.root / ".atelier" / "dvc-remote"

    @property
    def dvc_file(self) -> Path:
        return self.project.root / "data.dvc"

    def forget_cache(self) -> None:
        """As on a machine that has never seen the data."""
        shutil.rmtree(self.project.root / ".dvc" / "cache")


def write(project: Project, name: str, files: dict[str, bytes]) -> None:
    for file, content in files.items():
        path = project.root / "data" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> History:
    project = make_project(tmp_path_factory.mktemp("history") / "project", empty_database)
    with pytest.MonkeyPatch.context() as monkeypatch:
        point_environment(monkeypatch, project)
        write(project, "alpha", FIRST)
        first = versions.add_and_push(Settings(), "alpha")
        write(project, "alpha", SECOND)
        second = versions.add_and_push(Settings(), "alpha")
    return History(project, first, second)


@pytest.fixture
def history(original: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    """A copy of a project with two versions, that this process works in."""
    root = tmp_path / "project"
    shutil.copytree(original.project.root, root, symlinks=True)
    project = Project(root)
    point_environment(monkeypatch, project)
    return History(project, original.first, original.second)


@pytest.fixture
def settings(history: History) -> Settings:
    return Settings()


# There and back


def test_every_version_comes_back_byte_for_byte_while_another_is_in_use(history: History, settings: Settings):
    history.forget_cache()
    assert contents(versions.materialize(settings, "alpha", history.first)) == FIRST
    assert contents(versions.materialize(settings, "alpha", history.second)) == SECOND
    assert contents(history.project.root / "data" / "alpha") == SECOND
    assert tracked_md5(settings, "alpha") == history.second


def test_a_version_that_is_trained_on_does_not_change_when_the_dataset_does(history: History, settings: Settings):
    in_use = versions.materialize(settings, "alpha", history.second)
    assert [file for file in in_use.rglob("*") if file.is_file() and file.stat().st_mode & 0o222] == []
    write(history.project, "alpha", {"shard-1.parquet": b"rewritten"})
    assert contents(in_use) == SECOND


def test_a_version_is_fetched_once(history: History, settings: Settings):
    folder = versions.materialize(settings, "alpha", history.first)
    history.forget_cache()
    shutil.rmtree(history.remote)
    assert versions.materialize(settings, "alpha", history.first) == folder


def test_datasets_of_two_names_with_the_same_images_can_both_be_had(settings: Settings, history: History):
    for name in ("alpha", "renamed"):
        assert contents(versions.materialize(settings, name, history.first)) == FIRST


def test_a_fetch_that_was_cut_short_is_made_again(history: History, settings: Settings):
    folder = versions.materialize(settings, "alpha", history.first)
    (folder.parent / "complete").unlink()
    shutil.rmtree(folder / "labels")
    assert contents(versions.materialize(settings, "alpha", history.first)) == FIRST


def test_a_dataset_that_was_never_versioned_has_no_md5(history: History, settings: Settings):
    assert tracked_md5(settings, "beta") is None


def test_a_new_clone_is_given_the_version_in_use_and_keeps_what_a_run_that_was_cut_short_left(
    history: History, settings: Settings
):
    folder = history.project.root / "data" / "alpha"
    shutil.rmtree(folder)
    history.forget_cache()
    versions.restore(settings, "alpha")
    assert contents(folder) == SECOND
    assert all(file.stat().st_nlink == 1 for file in folder.rglob("*.parquet")), "a copy may be edited, the cache not"
    write(history.project, "alpha", {"shard-3.parquet": b"three"})
    versions.restore(settings, "alpha")
    assert contents(folder) == {**SECOND, "shard-3.parquet": b"three"}
    (folder / "shard-1.parquet").unlink()
    versions.restore(settings, "alpha")
    assert contents(folder) == SECOND, "what lacks a part of the version is none of its heirs"


# What goes wrong


def test_an_object_that_rotted_in_the_cache_is_fetched_again(history: History, settings: Settings):
    md5 = hashlib.md5(SECOND["shard-2.parquet"]).hexdigest()
    cached = history.project.root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    times = cached.stat()
    cached.chmod(0o644)
    cached.write_bytes(b"TWO" * 1000)
    os.utime(cached, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a disk does that flips bits
    assert contents(versions.materialize(settings, "alpha", history.second)) == SECOND


@pytest.mark.parametrize("what", ["a file", "the list of files"])
def test_a_corrupt_object_in_the_remote_is_named_and_nothing_counts_as_fetched(
    history: History, settings: Settings, what: str
):
    md5 = hashlib.md5(SECOND["shard-2.parquet"]).hexdigest() if what == "a file" else history.second
    stored = history.remote / "files" / "md5" / md5[:2] / md5[2:]
    intact = stored.read_bytes()
    stored.chmod(0o644)
    stored.write_bytes(intact[:-1] + bytes([intact[-1] ^ 1]))
    history.forget_cache()
    with pytest.raises(VersioningError) as failed:
        versions.materialize(settings, "alpha", history.second)
    assert md5.removesuffix(".dir") in str(failed.value)
    assert not list(settings.state.glob("datasets/*/complete"))
    stored.write_bytes(intact)
    assert contents(versions.materialize(settings, "alpha", history.second)) == SECOND


def test_a_version_that_the_remote_has_lost_is_named(history: History, settings: Settings):
    history.forget_cache()
    shutil.rmtree(history.remote)
    with pytest.raises(VersioningError, match=history.first.removesuffix(".dir")):
        versions.materialize(settings, "alpha", history.first)
    assert not list(settings.state.glob("datasets/*/complete"))


def test_a_remote_that_cannot_be_written_leaves_the_old_version_in_use(history: History, settings: Settings):
    before = history.dvc_file.read_bytes()
    moved = history.remote.rename(history.remote.with_name("moved"))
    history.remote.write_text("a file where the remote should be")
    write(history.project, "alpha", {"shard-3.parquet": b"three"})
    with pytest.raises(VersioningError) as failed:
        versions.add_and_push(settings, "alpha")
    assert "push" in str(failed.value)
    assert str(history.remote) in str(failed.value), "the cause is told"
    assert "\n" not in str(failed.value)
    assert history.dvc_file.read_bytes() == before

    history.remote.unlink()
    moved.rename(history.remote)
    third = versions.add_and_push(settings, "alpha")
    history.forget_cache()
    assert contents(versions.materialize(settings, "alpha", third)) == {**SECOND, "shard-3.parquet": b"three"}


def test_a_first_version_that_could_not_be_pushed_does_not_exist(history: History, settings: Settings):
    shutil.rmtree(history.remote)
    history.remote.write_text("a file where the remote should be")
    write(history.project, "beta", FIRST)
    with pytest.raises(VersioningError):
        versions.add_and_push(settings, "beta")
    assert tracked_md5(settings, "beta") is None


def test_a_push_that_a_person_stopped_leaves_the_old_version_in_use(
    history: History, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    before = history.dvc_file.read_bytes()
    run = subprocess.run

    def stop_at_push(command: list[str], **options: Any) -> object:
        if "push" in command:
            raise KeyboardInterrupt  # Ctrl-C cannot be timed to fall into a real push
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", stop_at_push)
    write(history.project, "alpha", {"shard-3.parquet": b"three"})
    with pytest.raises(KeyboardInterrupt):
        versions.add_and_push(settings, "alpha")
    assert history.dvc_file.read_bytes() == before


@pytest.mark.parametrize(
    "text", ["", "outs: [{md5: 1}]", "outs: [{path: a}, {path: a}]", "[", "- a", "<<<<<<< HEAD\nouts: []"]
)
def test_a_damaged_dvc_file_is_named_with_what_to_do(history: History, settings: Settings, text: str):
    history.dvc_file.write_text(text)
    with pytest.raises(
        VersioningError,
        match=r"data.dvc is damaged .*; restore it with `git checkout data.dvc`, or where git left marks",
    ):
        tracked_md5(settings, "alpha")


def test_without_git_versions_are_made_and_found_and_a_commit_says_what_is_missing(
    history: History, settings: Settings
):
    shutil.rmtree(history.project.root / ".git")
    write(history.project, "alpha", {"shard-3.parquet": b"three"})
    third = versions.add_and_push(settings, "alpha")
    history.forget_cache()
    assert contents(versions.materialize(settings, "alpha", third)) == {**SECOND, "shard-3.parquet": b"three"}
    with pytest.raises(VersioningError, match="not a git repository"):
        git.checked_out(settings)
    with pytest.raises(VersioningError, match="not a git repository"):
        versions.commit_version(settings, "alpha")


def test_in_a_repository_without_a_commit_versions_are_made(history: History, settings: Settings):
    shutil.rmtree(history.project.root / ".git")
    history.project.git("init", "--quiet")
    write(history.project, "alpha", {"shard-3.parquet": b"three"})
    assert versions.add_and_push(settings, "alpha") not in (history.first, history.second)


def test_a_commit_needs_nobody_to_have_told_git_who_they_are(
    history: History, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(history.project.root / "nobody"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    history.project.git("config", "--unset", "user.name")
    history.project.git("config", "--unset", "user.email")
    versions.commit_version(settings, "alpha")
    assert history.project.git("log", "-1", "--format=%an").strip() == "Atelier"


# git


def test_a_commit_holds_the_files_of_the_dataset_and_nothing_else_that_was_staged(history: History, settings: Settings):
    project = history.project
    (project.root / "unrelated.txt").write_text("someone's work")
    project.git("add", "unrelated.txt")
    versions.commit_version(settings, "alpha")
    assert project.git("show", "--name-only", "--format=%s", "HEAD").split("\n\n") == [
        "data: new version of alpha",
        "data.dvc\n",
    ]
    assert project.git("status", "--porcelain") == "A  unrelated.txt\n"
    head = project.git("rev-parse", "HEAD")
    versions.commit_version(settings, "alpha")
    assert project.git("rev-parse", "HEAD") == head, "nothing new, no commit"


def test_lineage_tells_a_commit_from_one_with_changes(history: History, settings: Settings):
    head = history.project.git("rev-parse", "HEAD").strip()
    assert git.checked_out(settings) == head, "what the platform writes is no change"
    (history.project.root / history.project.config).write_text("name: other")
    assert git.checked_out(settings) == f"{head}-dirty"


# Two at once


def test_two_datasets_versioned_at_once_both_land(history: History, settings: Settings):
    program = (
        "import sys; from flows.datasets import versions; from flows.config.settings import Settings\n"
        "print(versions.add_and_push(Settings(), sys.argv[1]))"
    )
    files = {name: {"shard.parquet": name.encode() * 1000} for name in ("beta", "gamma")}
    for name in files:
        write(history.project, name, files[name])
    at_once = {
        name: subprocess.Popen(
            [sys.executable, "-c", program, name],
            env=os.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in files
    }
    for name, process in at_once.items():
        md5, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert tracked_md5(settings, name) == md5.strip()
    history.forget_cache()
    for name in files:
        assert contents(versions.materialize(settings, name, present(tracked_md5(settings, name)))) == files[name]
    assert history.project.git("status", "--porcelain") == "?? data.dvc\n", "DVC wrote nothing that git keeps"


# The remote


def test_a_remote_that_works_is_named(history: History, settings: Settings):
    assert dvc_remote.check_remote(settings) == f"local, {history.remote}"


def test_a_remote_that_does_not_verify_is_refused_with_the_command_that_helps(history: History, settings: Settings):
    config = history.project.root / ".dvc" / "config"
    config.write_text(config.read_text().replace("    verify = true\n", ""))
    with pytest.raises(VersioningError, match="run `dvc remote modify local verify true`"):
        dvc_remote.check_remote(settings)


def test_no_remote_at_all_is_refused_with_the_command_that_helps(history: History, settings: Settings):
    (history.project.root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    with pytest.raises(VersioningError, match="set one with `atelier storage set"):
        dvc_remote.check_remote(settings)


def test_a_remote_that_cannot_be_read_is_refused_with_the_cause(history: History, settings: Settings):
    shutil.rmtree(history.remote)
    history.remote.write_text("a file where the remote should be")
    with pytest.raises(VersioningError, match=str(history.remote)):
        dvc_remote.check_remote(settings)
