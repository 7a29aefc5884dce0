"""The environment: a variable that cannot be used is named, and one that is empty is not set."""

from pathlib import Path

import pytest

from flows.config.settings import EnvironmentVariableError, ProjectError, Settings


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("ATELIER_TRAIN_PROCESSES", "many", "should be a valid integer"),
        ("ATELIER_TRAIN_PROCESSES", "0", "greater than or equal to 1"),
        ("ATELIER_TRAIN_PROCESSES", "1000000", "less than or equal to 1024"),
        ("ATELIER_EVALUATION_MINUTES", "nan", "finite number"),
        ("ATELIER_COMMIT_DATA", "perhaps", "should be a valid boolean"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_in_one_sentence(monkeypatch, name: str, value: str, why: str):
    monkeypatch.setenv(name, value)
    with pytest.raises(EnvironmentVariableError) as refused:
        Settings()
    message = str(refused.value)
    assert message.startswith(f"{name} is '{value}': ")
    assert why in message
    assert message.endswith("; set it right, or unset it")
    assert "\n" not in message


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch):
    monkeypatch.setenv("ATELIER_HOME", "")
    monkeypatch.setenv("ATELIER_EVALUATION_MEMORY_GIB", "")
    settings = Settings()
    assert settings.home == Path(".atelier")
    assert settings.evaluation_memory_gib is None


def test_a_folder_that_is_no_project_is_refused_by_name(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("ATELIER_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProjectError, match=f"{tmp_path} is not inside an Atelier project"):
        _ = Settings().root


@pytest.mark.parametrize(
    ("name", "address", "instead"),
    [
        ("MLFLOW_TRACKING_URI", "https://ada:s3cret@mlflow.example:5000", "MLFLOW_TRACKING_PASSWORD"),
        ("MLFLOW_TRACKING_URI", "postgresql://mlflow:s3cret@db/mlflow", "PGPASSWORD"),
        ("PREFECT_API_URL", "http://ada:s3cret@prefect.example/api", "PREFECT_API_AUTH_STRING"),
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(monkeypatch, name: str, address: str, instead: str):
    monkeypatch.setenv(name, address)
    with pytest.raises(EnvironmentVariableError, match=f"{name} holds a password.*{instead}") as refused:
        Settings()
    assert "s3cret" not in str(refused.value)
