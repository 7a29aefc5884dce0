"""The command line as a person meets it: a real process; what is wrong ends in one line that says what to do."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from flows.cli.doctor import examine
from flows.config.settings import Settings
from tests.support.project import Project

Atelier = Callable[..., subprocess.CompletedProcess[str]]
CHECKS = ["Python", "packages", "GPU", "git", "DVC remote", "DVC cache", "datasets", "MLflow", "champions", "Prefect"]
CHECKS += ["workers", "schedules", "disk"]


@pytest.fixture
def refused(project: Project, atelier: Atelier) -> Callable[..., str]:
    """Runs a command that has to fail as a bad input should, and gives the sentence it ends in."""

    def run(*arguments: str, **environment: str) -> str:
        before = everything_in(project.root)
        done = atelier(*arguments, **environment)
        assert everything_in(project.root) == before, "it left something behind"
        return sentence_of(done)

    return run


def sentence_of(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def everything_in(root: Path) -> set[str]:
    """All files and folders, but for what git and Prefect keep for themselves."""
    found = {path.relative_to(root).as_posix() for path in root.rglob("*")}
    return {path for path in found if not path.startswith((".git/", ".atelier/prefect"))}


def in_folder(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `atelier` in a folder, with nothing in the environment that says where the project is."""
    ours = ("ATELIER_", "MLFLOW_", "PREFECT_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [str(Path(sys.executable).with_name("atelier")), *arguments],
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


# Bad inputs


def test_an_unknown_config_is_refused_with_the_nearest(refused: Callable[..., str], project: Project):
    message = refused("retrain", "configs/tinny.yaml")
    assert "there is no config" in message
    assert f"did you mean {project.root / project.config}?" in message


def test_one_bad_config_among_several_is_refused_before_any_is_retrained(refused: Callable[..., str], project: Project):
    assert "there is no config" in refused("retrain", project.config, "configs/other.yaml")


def test_an_unknown_key_is_refused_with_the_nearest(refused: Callable[..., str], project: Project):
    project.edit("train", stepps=10)
    message = refused("train", project.config)
    assert "unknown key 'train.stepps', did you mean 'steps'?" in message
    assert project.config in message


def test_a_missing_source_folder_is_named(refused: Callable[..., str], project: Project):
    project.edit("dataset", sources=["incoming"])
    message = refused("dataset", project.config)
    assert "there is no folder 'incoming'" in message
    assert "builtin:digits" in message


def test_an_empty_source_folder_is_named(refused: Callable[..., str], project: Project):
    shutil.rmtree(project.images)
    project.images.mkdir()
    assert "the folder 'inbox' holds no files; put images into it" in refused("dataset", project.config)


def test_a_misspelt_builtin_source_is_refused_with_the_nearest(refused: Callable[..., str], project: Project):
    project.edit("dataset", sources=["builtin:digit"])
    assert "did you mean 'builtin:digits'?" in refused("retrain", project.config)


def test_a_model_that_is_not_registered_is_refused_with_the_nearest(refused: Callable[..., str], project: Project):
    MlflowClient(os.environ["MLFLOW_TRACKING_URI"]).create_registered_model("tiny-digits")
    assert refused("status", "tiny-digit") == "no model 'tiny-digit' is registered; did you mean 'tiny-digits'?"


def test_status_shows_every_alias_of_a_version(atelier: Atelier, project: Project):
    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    client.create_registered_model("tiny-digits")
    client.create_model_version("tiny-digits", source="s3://models/1")
    for alias in ("champion", "previous"):
        client.set_registered_model_alias("tiny-digits", alias, "1")
    assert "champion, previous" in atelier("status").stdout


def test_one_model_is_measured_at_a_time(refused: Callable[..., str], project: Project):
    message = refused("evaluate", project.config, "--model", "3", "--bundle", "runs/x/bundle")
    assert message == "--model and --bundle both say what is measured; give one of them"


def test_remote_stages_need_a_server(refused: Callable[..., str], project: Project):
    message = refused("retrain", project.config, "--on-workers")
    assert message.startswith("--on-workers needs a Prefect server")
    assert "atelier up" in message


def test_outside_a_project_a_person_is_told_where_to_go(project: Project, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    message = sentence_of(in_folder(elsewhere, "status"))
    assert f"{elsewhere} is not inside an Atelier project" in message
    assert "ATELIER_PROJECT" in message
    assert list(elsewhere.iterdir()) == []


def test_a_project_that_is_none_is_refused_and_nothing_is_made_there(project: Project, tmp_path: Path):
    nowhere = tmp_path / "nowhere"
    message = sentence_of(in_folder(tmp_path, "status", ATELIER_PROJECT=str(nowhere)))
    assert str(nowhere) in message
    assert "ATELIER_PROJECT" in message
    assert not nowhere.exists()


def test_a_config_is_found_from_anywhere_in_the_project(project: Project):
    project.edit("train", stepps=10)
    assert "did you mean 'steps'?" in sentence_of(in_folder(project.root / "configs", "train", "tiny.yaml"))


def test_the_traceback_is_there_for_those_who_ask(atelier: Atelier):
    done = atelier("train", "configs/tinny.yaml", ATELIER_DEBUG="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


# Servers that do not answer


def test_status_names_the_mlflow_server_that_does_not_answer(refused: Callable[..., str], dead_address: str):
    message = refused("status", MLFLOW_TRACKING_URI=dead_address)
    assert f"the MLflow server at {dead_address} does not answer" in message
    assert "unset MLFLOW_TRACKING_URI" in message


def test_a_stage_names_the_mlflow_server_that_does_not_answer_and_makes_nothing(
    refused: Callable[..., str], project: Project, prefect_server: str, dead_address: str
):
    message = refused("dataset", project.config, PREFECT_API_URL=prefect_server, MLFLOW_TRACKING_URI=dead_address)
    assert f"the MLflow server at {dead_address} does not answer" in message


@pytest.mark.parametrize("command", ["dataset", "retrain"])
def test_a_stage_names_the_prefect_server_that_does_not_answer_and_makes_nothing(
    refused: Callable[..., str], project: Project, dead_address: str, command: str
):
    message = refused(command, project.config, PREFECT_API_URL=f"{dead_address}/api")
    assert f"{dead_address}/api" in message
    assert "unset PREFECT_API_URL" in message


# Stages out of order


def test_train_before_dataset_says_which_command_comes_first(atelier: Atelier, project: Project, prefect_server: str):
    message = sentence_of(atelier("train", project.config, PREFECT_API_URL=prefect_server))
    assert message == (
        "dataset 'tiny' has no version of what its sources hold now; run `atelier dataset` with this config first"
    )
    assert not (project.root / "data" / "tiny").exists()
    assert not (project.root / ".atelier" / "runs").exists()


def test_a_file_that_a_config_names_is_looked_for_before_anything_is_done(atelier: Atelier, project: Project):
    project.edit("evaluate", extractor={"name": "timm/resnet18", "weights": "nowhere.safetensors", "size": 32})
    done = atelier("retrain", project.config)
    assert done.returncode == 1
    assert "evaluate.extractor.weights is nowhere.safetensors, and there is no such file" in done.stderr
    assert not (project.root / "data" / "tiny").exists()


# Doctor


def test_doctor_finds_a_new_project_healthy(atelier: Atelier, project: Project):
    done = atelier("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.strip().splitlines()
    states = {name: line.split()[0] for name, line in zip(CHECKS, lines, strict=True) if line[7:].startswith(name)}
    assert states == {
        name: "unset" if name in ("champions", "Prefect", "workers", "schedules") else "works" for name in CHECKS
    }, lines
    assert project.git("rev-parse", "HEAD")[:7] in done.stdout


def test_doctor_says_of_everything_that_is_broken_what_to_do(atelier: Atelier, project: Project, dead_address: str):
    config = project.root / ".dvc" / "config"
    config.write_text(config.read_text().replace("    verify = true\n", ""))
    done = atelier("doctor", MLFLOW_TRACKING_URI=dead_address, PREFECT_API_URL=f"{dead_address}/api")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    broken = [line for line in done.stdout.splitlines() if line.startswith("broken")]
    assert [line.split()[1] for line in broken] == ["DVC", "MLflow", "Prefect", "schedules"]
    told = " ".join(done.stdout.split())
    assert "`dvc remote modify local verify true`" in told
    assert f"the MLflow server at {dead_address} does not answer" in told
    assert f"the server at {dead_address}/api does not answer" in told
    assert "unset PREFECT_API_URL" in told


def test_doctor_notices_that_git_is_missing(project: Project, capsys: pytest.CaptureFixture[str]):
    shutil.rmtree(project.root / ".git")
    assert not examine(Settings())
    told = " ".join(capsys.readouterr().out.split())
    assert "not a git repository" in told
    assert "work in a clone" in told


def test_doctor_says_why_git_refuses_a_project_and_what_to_do(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as where root runs in another user's project
    assert not examine(Settings())
    told = " ".join(capsys.readouterr().out.split())
    assert f"dubious ownership in repository at '{project.root}'" in told
    assert "git config --global --add safe.directory" in told
