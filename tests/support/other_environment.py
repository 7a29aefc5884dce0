"""A worker with an environment of its own: runs of `train` are taken up by a process, and the parent stays here."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.settings import PREFECT_API_URL

from flows.dataset import dataset
from flows.evaluate import evaluate
from flows.promote import promote
from flows.train import train

PATIENCE_SECONDS = 120


@contextmanager
def gpu_worker(model: str) -> Iterator[None]:
    """Let a process take up the next run of `train/<model>`, as a worker of the pool `gpu` does.

    Its deployments are on the server of the session meanwhile.
    """
    with get_client(sync_client=True) as client:
        for pool in ("cpu", "gpu"):
            client.create_work_pool(WorkPoolCreate(name=pool, type="process"), overwrite=True)
        made = [
            client.create_deployment(
                client.create_flow(flow),
                model,
                work_pool_name="gpu" if flow is train else "cpu",
                entrypoint=f"flows.{flow.name}.{flow.name}",
            )
            for flow in (dataset, train, evaluate, promote)
        ]
        address = str(PREFECT_API_URL.value())
        worker = threading.Thread(target=_take_up_one, args=(model, address))
        worker.start()
        try:
            yield
            worker.join(PATIENCE_SECONDS)
            assert not worker.is_alive(), "nothing was submitted"
        finally:
            for deployment in made:
                client.delete_deployment(deployment)


def _take_up_one(model: str, address: str) -> None:
    condition = FlowRunFilter.model_validate(
        {"name": {"any_": [f"train {model}"]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    )
    end = time.monotonic() + PATIENCE_SECONDS
    with SyncPrefectClient(address) as client:
        while not (submitted := client.read_flow_runs(flow_run_filter=condition)) and time.monotonic() < end:
            time.sleep(0.1)
    for run in submitted:
        environment = {**os.environ, "PREFECT_API_URL": address, "PREFECT__FLOW_RUN_ID": str(run.id)}
        subprocess.run([sys.executable, "-m", "prefect.engine"], env=environment, timeout=PATIENCE_SECONDS)
