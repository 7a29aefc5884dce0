"""Doctor tells of each work pool who serves it, and when the server last heard of a worker."""

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate

from flows.cli.doctor import TroubleError, check_workers
from flows.cli.workers import Service, read_services

pytestmark = pytest.mark.usefixtures("prefect_server")


def service(pool: str) -> Service:
    (found,) = [known for known in read_services() if known.pool == pool]
    return found


def test_a_pool_that_no_worker_polls_says_when_the_last_did_and_what_to_start(prefect_server: str):
    with pytest.MonkeyPatch.context() as monkeypatch, get_client(sync_client=True) as client:
        monkeypatch.setenv("PREFECT_API_URL", prefect_server)
        client.create_work_pool(WorkPoolCreate(name="served", type="process"))
        client.create_work_pool(WorkPoolCreate(name="unserved", type="process"))
        flow = client.create_flow_from_name("any")
        for pool in ("served", "unserved"):
            client.create_deployment(flow, f"of-{pool}", work_pool_name=pool)
        client.send_worker_heartbeat("served", "here-1", heartbeat_interval_seconds=30)
        assert str(service("served")).startswith("served: here-1, heard of at 20")
        assert service("served").trouble == ""
        start = "no worker polls pool unserved; start one with `atelier worker --pool unserved`"
        assert str(service("unserved")) == f"unserved: none has ever polled ({start})"
        with pytest.raises(TroubleError, match=r"served: here-1.*\nunserved: none has ever polled"):
            check_workers()
