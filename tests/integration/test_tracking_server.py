"""What an MLflow server answers is what is in its database."""

from collections.abc import Iterator

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from flows.config.settings import Settings
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking
from tests.support.mlflow_helpers import (
    empty_project,
    find,
    finished_run,
    leave_runs_of_an_older_release,
    logged_model,
    open_run,
    register,
)
from tests.support.mlflow_server import MlflowServer


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, mlflow_server: MlflowServer
) -> Iterator[tuple[Tracking, Tracking]]:
    """One MLflow with a finished and a failed run and a champion: as SQLite, and as a real server on the same file."""
    folder = empty_project(tmp_path_factory.mktemp("served"))
    before = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.database)
        direct = Tracking(Settings(project=folder))
        record = finished_run(direct)
        direct.fail(open_run(direct, "failed"), "the disk is full")
        registry = Registry(direct)
        register(registry, logged_model(direct, record.run_id), record.run_id)
        registry.point("digits", "champion", "1")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.address)
        over_http = Tracking(Settings(project=folder))
    yield direct, over_http
    mlflow.set_tracking_uri(before)


def test_a_server_gives_the_same_records_as_its_database(served: tuple[Tracking, Tracking]):
    direct, over_http = served
    assert over_http.is_server
    assert not direct.is_server
    assert find(over_http) == find(direct) is not None
    assert find(over_http, dataset="digits") == find(direct)


def test_a_server_finds_nothing_where_there_is_nothing(served: tuple[Tracking, Tracking]):
    _, over_http = served
    assert find(over_http, "failed") is None
    assert find(over_http, "never made") is None
    assert find(over_http, experiment="never-made") is None
    assert find(over_http, dataset="photos") is None


def test_a_server_gives_the_same_alias_as_its_database(served: tuple[Tracking, Tracking]):
    direct, over_http = (Registry(tracking) for tracking in served)
    assert over_http.at("digits", "champion") == direct.at("digits", "champion") is not None
    assert over_http.at("digits", "previous") is direct.at("digits", "previous") is None
    assert over_http.at("photos", "champion") is direct.at("photos", "champion") is None


def test_a_server_gives_what_is_behind_its_first_page(served: tuple[Tracking, Tracking]):
    direct, over_http = served
    record = finished_run(direct, "hidden")
    leave_runs_of_an_older_release(direct, "hidden")
    assert find(over_http, "hidden") == record


def test_what_is_written_through_the_server_is_found_without_it(served: tuple[Tracking, Tracking]):
    direct, over_http = served
    record = finished_run(over_http, "through the server")
    assert find(direct, "through the server") == record


def test_what_a_server_refuses_is_an_error_and_not_an_absence(served: tuple[Tracking, Tracking]):
    _, over_http = served
    with pytest.raises(MlflowException, match="INVALID_PARAMETER_VALUE"):
        find(over_http, "' or \"")
