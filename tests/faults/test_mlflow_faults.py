"""MLflow that hangs, answers 500, hangs up or throttles while a model is trained costs no step, no stage (fault 12)."""

from collections.abc import Iterator
from itertools import cycle

import pytest
from prefect.settings import PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

from flows.config.settings import Settings
from flows.dataset import dataset
from flows.runtime.errors import StageError
from flows.runtime.records import TrainingRun
from flows.tracking import metrics_forwarder
from flows.tracking.runs import Tracking
from flows.train import train
from tests.support.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.support.mlflow_server import MlflowServer
from tests.support.project import Project


@pytest.fixture
def proxy(mlflow_server: MlflowServer, project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """A real server, which this project reaches through a proxy, with a client that soon gives up."""
    config = project.root / project.config
    config.write_text(config.read_text().replace("tiny-digits", "faulty-digits"))
    project.edit("dataset", name="faulty")
    monkeypatch.setattr(metrics_forwarder, "SECONDS_BETWEEN_BATCHES", 0.0)
    monkeypatch.setattr(metrics_forwarder, "SECONDS_AFTER_A_FAILURE", 0.0)
    with (
        faulty_proxy(mlflow_server.address) as between,
        temporary_settings({PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}),
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", between.endpoint)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        yield between


def test_a_training_goes_on_and_its_metrics_arrive_when_mlflow_is_well_again(
    proxy: FaultyProxy, project: Project, capsys: pytest.CaptureFixture[str]
):
    faults: Iterator[Fault] = cycle(["hang", "fail", "reset", "throttle"])
    met: set[Fault] = set()

    def while_it_trains(method: str, path: str) -> Fault | None:
        runs = project.root / ".atelier" / "runs"
        if not list(runs.glob("*/metrics.jsonl")) or (list(runs.glob("*/bundle")) and len(met) == 4):
            return None
        met.add(fault := next(faults))
        return fault

    version = dataset.fn(project.config)
    proxy.fault = while_it_trains
    done = train.fn(project.config, version)
    assert met == {"hang", "fail", "reset", "throttle"}
    assert "MLflow takes no metrics now, they are kept and sent later" in capsys.readouterr().out
    tracking = Tracking(Settings())
    assert tracking.record(TrainingRun, done.run_id) == done
    steps = [point.step for point in tracking.client.get_metric_history(done.run_id, "loss/generator")]
    assert sorted(steps) == list(range(2, 13, 2))


def test_what_made_a_stage_fail_is_told_though_mlflow_is_gone(
    proxy: FaultyProxy, project: Project, capsys: pytest.CaptureFixture[str]
):
    version = dataset.fn(project.config)
    project.edit("train", recipe={"name": "dcgan", "width": 8, "latent_dim": 8, "learning_rate": 1e30})
    begun = project.root / ".atelier" / "runs"
    proxy.fault = lambda method, path: "fail" if list(begun.glob("*/training.log")) else None
    with pytest.raises(StageError, match="unhealthy"):
        train.fn(project.config, version)
    assert "MLflow could not be told that the run failed" in capsys.readouterr().out
