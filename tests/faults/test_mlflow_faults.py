"""MLflow that hangs, drips, answers 500, hangs up or throttles costs a training no step (fault 12)."""

from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest
from prefect.settings import PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

from flows.config.settings import Settings
from flows.dataset import dataset
from flows.runtime.errors import StageError
from flows.runtime.records import TrainingRun
from flows.tracking import bounded_client, client, context, metrics_forwarder
from flows.tracking.errors import TrackingError
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking
from flows.train import train
from gan_models.bundles.description import DESCRIPTION
from tests.support.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.support.mlflow_helpers import find, open_run, register
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
    monkeypatch.setattr(bounded_client, "CALL_SECONDS", 5.0)
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
    every: list[Fault] = ["hang", "fail", "reset", "throttle", "drip"]
    faults = cycle(every)
    met: set[Fault] = set()

    def while_it_trains(method: str, path: str) -> Fault | None:
        runs = project.root / ".atelier" / "runs"
        if not list(runs.glob("*/metrics.jsonl")) or (list(runs.glob("*/bundle")) and len(met) == len(every)):
            return None
        met.add(fault := next(faults))
        return fault

    version = dataset.fn(project.config)
    proxy.fault = while_it_trains
    done = train.fn(project.config, version)
    assert met == set(every)
    assert "MLflow takes no metrics now, they are kept and sent later" in capsys.readouterr().out
    tracking = Tracking(Settings())
    assert tracking.record(TrainingRun, done.run_id) == done
    steps = [point.step for point in tracking.client.get_metric_history(done.run_id, "loss/generator")]
    assert sorted(steps) == list(range(2, 13, 2))


DOING: dict[str, Callable[[Registry, str, Path], object]] = {
    "beginning a stage": lambda registry, run_id, file: registry.tracking.check(),
    "looking for what is done": lambda registry, run_id, file: find(registry.tracking),
    "registering a model": lambda registry, run_id, file: register(registry, "m-1", run_id),
    "logging parameters": lambda registry, run_id, file: registry.tracking.log_params(run_id, {"steps": 3}),
    "sending a file": lambda registry, run_id, file: registry.tracking.log_files(run_id, [file]),
    "fetching a file": lambda registry, run_id, file: registry.tracking.fetch(run_id, file.name),
    "logging a model": lambda registry, run_id, file: registry.log_model(run_id, file.parent, name="m", params={}),
    "fetching a model": lambda registry, run_id, file: registry.fetch_bundle("m-1"),
}


SAID = {"drip": "has not answered within", "hang": "does not answer", "fail": "fails whenever .* disk .* may be full"}
LIMITS = (
    (bounded_client, "CALL_SECONDS"),
    (bounded_client, "TRANSFER_SECONDS"),
    (client, "TRANSFER_SECONDS"),
    (client, "CHECK_SECONDS"),
)


@pytest.mark.parametrize(
    ("fault", "doing"),
    [
        *(("drip", doing) for doing in DOING if doing != "sending a file"),  # whose answer has no bytes
        ("hang", "sending a file"),
        ("fail", "sending a file"),
        ("fail", "looking for what is done"),
    ],
)
def test_a_server_that_gives_no_answer_is_named_whatever_a_stage_does_and_not_waited_for_for_ever(
    proxy: FaultyProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doing: str, fault: Fault
):
    tracking = Tracking(Settings())
    run_id, file = open_run(tracking, f"{doing} {fault}"), tmp_path / "sent" / "note.txt"
    file.parent.mkdir()
    file.write_text("a note")
    tracking.log_files(run_id, [file])
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    if fault == "drip":
        for module, limit in LIMITS:
            monkeypatch.setattr(module, limit, 0.7)
    proxy.requests.clear()
    proxy.drip_seconds = 2.0
    proxy.fault = lambda method, path: fault
    with pytest.raises(TrackingError, match=f"the MLflow server at {proxy.endpoint} {SAID[fault]}"):
        DOING[doing](Registry(tracking), run_id, file)
    assert len(proxy.requests) == (1 if fault == "drip" else 2)


def test_a_model_whose_files_do_not_come_is_not_taken_for_one_that_is_gone(proxy: FaultyProxy, tmp_path: Path):
    registry = Registry(Tracking(Settings()))
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / DESCRIPTION).write_text("{}")
    model_id = registry.log_model(open_run(registry.tracking, "a model"), bundle, name="m", params={})
    proxy.fault = lambda method, path: "fail" if f"{model_id}/artifacts/" in path else None
    with pytest.raises(TrackingError, match=f"the files of {model_id} cannot be fetched.*MLflow has them"):
        registry.fetch_bundle(model_id)
    proxy.fault = lambda method, path: None
    assert (registry.fetch_bundle(model_id) / DESCRIPTION).exists()


def test_what_made_a_stage_fail_is_told_though_mlflow_gives_no_answer(
    proxy: FaultyProxy, project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(context, "CLOSE_SECONDS", 1.0)
    version = dataset.fn(project.config)
    project.edit("train", recipe={"name": "dcgan", "width": 8, "latent_dim": 8, "learning_rate": 1e30})
    begun = project.root / ".atelier" / "runs"
    proxy.fault = lambda method, path: "drip" if list(begun.glob("*/training.log")) else None
    with pytest.raises(StageError, match="unhealthy"):
        train.fn(project.config, version)
    assert "MLflow could not be told that the run failed (it takes more than 1 seconds)" in capsys.readouterr().out
