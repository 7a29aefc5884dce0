"""What Prometheus is told, of a real Prefect server and a real MLflow."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from uuid import UUID

import httpx
import pytest
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import State
from prefect.states import Completed, Crashed, Running, Scheduled
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from flows.config.settings import Settings
from flows.monitoring.exporter import Exporter
from flows.monitoring.gauges import GAUGES, Values
from flows.monitoring.models import model_values
from flows.runtime.deployments import TAG
from flows.tracking.runs import Tracking
from tests.support.ports import free_port

HOUR = timedelta(hours=1)
QUOTED = 'say "hi" \\ twice'  # Prefect and MLflow take it for a name

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def exported(exporter: Exporter) -> Samples:
    registry = CollectorRegistry()
    registry.register(exporter)
    return samples_of(generate_latest(registry).decode())


def deployment(client: SyncPrefectClient, stage: str, model: str, tag: str = TAG) -> UUID:
    flow = client.create_flow_from_name(stage)
    return client.create_deployment(flow, name=model, work_pool_name="metrics", tags=[tag])


def run(client: SyncPrefectClient, of: UUID, due: datetime, *states: State[None]) -> None:
    made = client.create_flow_run_from_deployment(of, state=Scheduled(scheduled_time=due))
    for state in states:
        client.set_flow_run_state(made.id, state, force=True)


@pytest.fixture
def scraped(tracking: Tracking, prefect_server: str) -> Iterator[Samples]:
    now = datetime.now(UTC)
    with get_client(sync_client=True) as prefect:
        prefect.create_work_pool(WorkPoolCreate(name="metrics", type="process"))
        retrain, train = deployment(prefect, "retrain", QUOTED), deployment(prefect, "train", QUOTED)
        run(prefect, retrain, now - 2 * HOUR, Running(), Completed())
        for days in (1, 8, 15):
            run(prefect, retrain, now + timedelta(days=days))
        run(prefect, train, now - 30 * HOUR, Running(), Completed())
        run(prefect, train, now - 5 * HOUR, Running(), Crashed())
        run(prefect, train, now - 3 * HOUR)
        run(prefect, train, now - HOUR, Running())
        deployment(prefect, "evaluate", QUOTED)
        prefect.create_flow_run(Flow(lambda: None, name="evaluate"), tags=[TAG, f"model:{QUOTED}"], state=Completed())
        run(prefect, deployment(prefect, "train", "theirs", tag="another project"), now, Running(), Crashed())
    mlflow = tracking.client
    experiment = mlflow.create_experiment(QUOTED)
    decided = mlflow.create_run(experiment, tags={"stage": "promote"}).info.run_id
    mlflow.set_terminated(decided, "FINISHED")
    for model in (QUOTED, "without-a-champion"):
        mlflow.create_registered_model(model)
        mlflow.create_model_version(model, source="s3://models/1", run_id=decided)
    mlflow.set_registered_model_alias(QUOTED, "champion", "1")

    port = free_port()
    environment = {
        **os.environ,
        "ATELIER_PROJECT": str(tracking.settings.root),
        "MLFLOW_TRACKING_URI": tracking.uri,
        "PREFECT_API_URL": prefect_server,
    }
    command = [sys.executable, "-m", "flows.cli.main", "metrics", "--port", str(port)]
    exporter = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert exporter.stdout is not None
    assert "of mlflow and prefect" in exporter.stdout.readline()
    try:
        yield samples_of(httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=120).text)
    finally:
        exporter.send_signal(signal.SIGTERM)
        exporter.communicate(timeout=60)


def test_queues_runs_models_and_disks_are_told_by_stage_and_model(scraped: Samples):
    of_train, of_retrain = {"stage": "train", "model": QUOTED}, {"stage": "retrain", "model": QUOTED}
    told = lambda name, **labels: value(scraped, f"atelier_{name}", **labels)  # noqa: E731
    assert told("up", server="prefect") == told("up", server="mlflow") == 1
    age = told("queue_age_seconds", pool="metrics", **of_train)
    assert age is not None
    assert age >= 3 * HOUR.total_seconds(), "of the run that waits longest"
    assert told("waiting_runs", pool="metrics", **of_train) == 1
    assert told("queue_age_seconds", pool="metrics", **of_retrain) == 0, "what is planned does not wait"
    assert told("running_runs", **of_train) == 1
    assert told("failed_runs", state="Crashed", **of_train) == 1
    assert told("failed_runs", state="Failed", **of_train) == 0
    assert told("failed_runs", state="Crashed", stage="train", model="theirs") is None, "another project's"
    assert told("last_run_failed", **of_train) == 1
    assert told("last_run_failed", **of_retrain) == 0
    assert told("last_run_seconds", **of_retrain) is not None
    assert told("last_success_timestamp_seconds", **of_train) is not None, "although a later one crashed"
    assert told("last_run_failed", stage="evaluate", model=QUOTED) == 0, "within a retrain it is of no deployment"
    assert told("schedule_seconds", **of_retrain) == pytest.approx(timedelta(days=7).total_seconds())
    assert told("schedule_seconds", **of_train) is None
    assert told("champion", model=QUOTED) == 1
    assert told("champion", model="without-a-champion") == 0
    assert told("champion_timestamp_seconds", model="without-a-champion") is None
    assert told("champion_timestamp_seconds", model=QUOTED) == pytest.approx(time.time(), abs=3600)
    assert told("last_decision_timestamp_seconds", model=QUOTED) == pytest.approx(time.time(), abs=3600)
    assert 0 < (told("disk_free_bytes", folder="state") or 0) < (told("disk_size_bytes", folder="state") or 0)
    assert {name for name, _ in scraped} == set(GAUGES), "each metric is there"


def test_a_server_that_hangs_or_is_gone_is_down_and_the_other_is_told_of(
    tmp_path: Path, dead_address: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dead_address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    answer, asked = Event(), []

    def hangs() -> Values:
        asked.append(1)
        answer.wait()
        return Values()

    def works() -> Values:
        values = Values()
        values.add("atelier_champion", 1, model="digits")
        return values

    sources = {"mlflow": lambda: model_values(Settings()), "prefect": hangs, "third": works}
    exporter = Exporter(sources, {"state": tmp_path}, seconds=1)
    for _ in range(2):
        samples = exported(exporter)
        assert [value(samples, "atelier_up", server=server) for server in sources] == [0, 0, 1]
        assert value(samples, "atelier_champion", model="digits") == 1
    assert len(asked) == 1, "it is not asked again before it has answered"
    answer.set()
