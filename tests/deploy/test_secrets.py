"""The scripts that handle secrets, run for real with sh."""

import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRET = "hunter2-do-not-print"


def start(*command, **environment):
    """Run a command through the containers' entrypoint, with nothing but `environment` around it."""
    return subprocess.run(
        ["sh", DEPLOY / "entrypoint.sh", *command],
        env={"PATH": "/usr/bin:/bin", **{name: str(value) for name, value in environment.items()}},
        capture_output=True,
        text=True,
        timeout=10,
    )


@pytest.fixture
def secret_file(tmp_path):
    file = tmp_path / "key"
    file.write_text(SECRET + "\n")
    return file


def test_a_secret_given_as_a_file_reaches_the_command_and_nobody_else(secret_file):
    probe = 'test "$AWS_SECRET_ACCESS_KEY" = "$EXPECTED" && test -z "${AWS_SECRET_ACCESS_KEY_FILE+x}"'
    done = start("sh", "-c", probe, AWS_SECRET_ACCESS_KEY_FILE=secret_file, EXPECTED=SECRET)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_missing_secret_is_refused_before_the_command_starts(tmp_path):
    done = start("echo", "started", PGPASSWORD_FILE=tmp_path / "absent")
    assert done.returncode == 78
    assert done.stdout == ""
    assert f"PGPASSWORD_FILE: there is no file '{tmp_path / 'absent'}'" in done.stderr


def test_an_empty_secret_is_refused_before_the_command_starts(tmp_path):
    (tmp_path / "empty").write_text("\n")
    done = start("echo", "started", PREFECT_SERVER_DATABASE_PASSWORD_FILE=tmp_path / "empty")
    assert done.returncode == 78
    assert done.stdout == ""
    assert "is empty" in done.stderr


def test_a_secret_given_twice_is_refused_without_printing_either(secret_file):
    done = start("echo", "started", AWS_SECRET_ACCESS_KEY=SECRET, AWS_SECRET_ACCESS_KEY_FILE=secret_file)
    assert done.returncode == 78
    assert "keep one of them" in done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_a_secret_with_shell_characters_is_passed_on_untouched(tmp_path):
    odd = "a b$(exit 3)`exit 4`'\"\\*"
    (tmp_path / "odd").write_text(odd)
    done = start("sh", "-c", 'printf %s "$PGPASSWORD"', PGPASSWORD_FILE=tmp_path / "odd")
    assert done.stdout == odd


def test_files_that_tools_read_themselves_are_left_alone(tmp_path):
    done = start("sh", "-c", 'printf %s "$SSL_CERT_FILE"', SSL_CERT_FILE=tmp_path / "absent.pem")
    assert (done.returncode, done.stdout) == (0, str(tmp_path / "absent.pem"))


def test_created_secrets_are_long_and_different_and_kept_the_second_time(tmp_path):
    script = ["sh", DEPLOY / "secrets" / "create.sh", tmp_path]
    subprocess.run(script, check=True, capture_output=True)
    first = {file.name: file.read_text() for file in tmp_path.iterdir()}
    second_run = subprocess.run(script, check=True, capture_output=True, text=True)
    assert first == {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert all(len(value) == 64 for value in first.values())
    assert len(set(first.values())) == len(first)
    assert not any(value in second_run.stdout for value in first.values())
    assert tmp_path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("script", ["s3/start.sh", "postgres/databases.sh"])
def test_servers_refuse_to_start_without_their_secrets(script, tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "SECRETS_DIR": str(tmp_path), "CONFIG_DIR": str(tmp_path)}
    done = subprocess.run(["sh", DEPLOY / script], env=environment, capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert "missing or empty" in done.stderr
    assert list(tmp_path.iterdir()) == []
