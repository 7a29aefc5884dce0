"""What a person can mend is one line of the `atelier` command; a bug keeps its traceback."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import requests
from mlflow.exceptions import MlflowException, RestException

from flows.cli.errors import in_one_line
from tests.support.project import Project

Atelier = Callable[..., subprocess.CompletedProcess[str]]


def _raised_while(error: Exception, handled: Exception) -> Exception:
    """An error as it is when it is raised in the handling of another."""
    error.__context__ = handled
    return error


@pytest.fixture
def broken(atelier: Atelier, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command whose process replaces a function of ours by one that raises."""

    def run(target: str, error: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        module, _, name = target.rpartition(":")
        owner, _, attribute = name.rpartition(".")
        folder = tmp_path / "startup"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(
            f"import {module} as module\n"
            "from gan_models.errors import AtelierError\n"
            "from flows.runtime.errors import StageError\n"
            f"def raising(*arguments, **options):\n    raise {error}\n"
            f"setattr({f'module.{owner}' if owner else 'module'}, {attribute!r}, raising)\n"
        )
        # Prefect's own lines are switched off by the command, which the module above forestalls by importing Prefect.
        quiet = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}
        return atelier(*arguments, PYTHONPATH=str(folder), **quiet, **environment)

    return run


def test_a_bug_in_a_command_keeps_its_traceback(broken):
    done = broken("flows.tracking.registry:Registry.models", "KeyError('champion')", "status")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.strip().endswith("KeyError: 'champion'")


def test_what_a_person_can_mend_in_a_command_is_one_line(broken):
    done = broken("flows.tracking.registry:Registry.models", "AtelierError('first\\nsecond')", "status")
    assert done.returncode == 1
    assert done.stderr.strip() == "error: first second"


def test_a_full_disk_is_one_line_whoever_found_it(broken):
    error = "OSError(28, 'No space left on device', '/a/file')"
    done = broken("flows.tracking.registry:Registry.models", error, "status")
    assert done.returncode == 1
    assert done.stderr.strip() == "error: [Errno 28] No space left on device: '/a/file'"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (httpx.ConnectError("refused"), "refused"),
        (ConnectionResetError(104, "reset by peer"), "reset by peer"),
        (
            _raised_while(MlflowException("API request failed"), requests.ConnectionError("no route")),
            "API request failed",
        ),
    ],
)
def test_a_server_that_goes_away_in_the_middle_is_one_line(error: Exception, told: str):
    message = in_one_line(error)
    assert message is not None
    assert message.startswith("a server did not answer: ")
    assert told in message


def test_what_a_user_of_mlflow_may_not_do_is_one_line():
    message = in_one_line(RestException({"error_code": "PERMISSION_DENIED", "message": "no right to write"}))
    assert message is not None
    assert message.startswith("MLflow refuses that to these credentials: PERMISSION_DENIED: no right to write; ask")


def test_a_bug_in_what_handles_a_network_is_a_bug():
    assert in_one_line(_raised_while(KeyError("champion"), httpx.ConnectError("refused"))) is None


def test_a_file_that_we_forgot_is_a_bug_and_keeps_its_traceback(broken):
    done = broken("flows.tracking.registry:Registry.models", "FileNotFoundError(2, 'No such file', 'x')", "status")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr


def test_a_bug_within_a_flow_keeps_its_traceback(broken, project: Project, prefect_server: str):
    done = broken(
        "flows.lookup.dataset:fingerprint",
        "KeyError('mark')",
        "dataset",
        project.config,
        PREFECT_API_URL=prefect_server,
    )
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.strip().endswith("KeyError: 'mark'")


def test_what_a_person_can_mend_within_a_flow_is_one_line(broken, project: Project, prefect_server: str):
    done = broken(
        "flows.lookup.dataset:fingerprint",
        "StageError('mend it')",
        "dataset",
        project.config,
        PREFECT_API_URL=prefect_server,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "error: mend it"


def test_a_variable_that_cannot_be_used_is_one_line(atelier: Atelier):
    done = atelier("status", ATELIER_TRAIN_PROCESSES="many")
    assert done.returncode == 1
    assert done.stderr.strip().startswith("error: ATELIER_TRAIN_PROCESSES is 'many': ")
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [["evaluate"], ["no-such-command"]])
def test_a_command_line_that_is_none_is_explained_without_a_traceback(atelier: Atelier, arguments: list[str]):
    done = atelier(*arguments)
    assert done.returncode == 2
    assert "Usage: atelier" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_config_is_one_line_for_every_command_that_reads_it(atelier: Atelier, project: Project):
    file = project.root / project.config
    shutil.copy(file, file.with_name("twice.yaml"))
    file.with_name("twice.yaml").open("a").write("name: other\n")
    for command in ("dataset", "train", "retrain"):
        done = atelier(command, "configs/twice.yaml")
        assert done.returncode == 1
        assert "the key 'name' is given twice" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
