"""Doctor tells of each work pool who serves it, and when the server last heard of a worker."""

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate

from flows.cli.doctor import TroubleError, check_workers
from flows.cli.workers import Service, read_services
from flows.runtime.deployments import TAG

pytestmark = pytest.mark.usefixtures("prefect_server")


def service(pool: str) -> Service:
    (found,) = [known for known in read_services() if known.pool == pool]
    return found


def test_a_pool_that_no_worker_polls_says_when_the_last_did_and_what_to_start(prefect_server: str):
    with pytest.MonkeyPatch.context() as monkeypatch, get_client(sync_client=True) as client:
        monkeypatch.setenv("PREFECT_API_URL", prefect_server)
        client.create_work_pool(WorkPoolCreate(name="pool-a", type="process"))
        client.create_work_pool(WorkPoolCreate(name="pool-b", type="process"))
        flow = client.create_flow_from_name("any")
        for pool in ("pool-a", "pool-b"):
            client.create_deployment(flow, f"of-{pool}", work_pool_name=pool, tags=[TAG])
        client.send_worker_heartbeat("pool-a", "here-1", heartbeat_interval_seconds=30)
        assert str(service("pool-a")).startswith("pool-a: here-1, heard of at 20")
        assert service("pool-a").trouble == ""
        start = "no worker polls pool pool-b; start one with `atelier worker --pool pool-b`"
        assert str(service("pool-b")) == f"pool-b: none has ever polled ({start})"
        with pytest.raises(TroubleError, match=r"pool-a: here-1.*\npool-b: none has ever polled"):
            check_workers()
