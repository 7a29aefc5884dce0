"""Who serves the work pools that deployments name, as the Prefect server last heard of them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import Worker, WorkerStatus

from flows.runtime.deployments import find_pool, our_deployments, trouble_of


@dataclass(frozen=True)
class Service:
    """The workers of a work pool. `trouble`: why runs that are sent there don't start, empty where they do."""

    pool: str
    workers: tuple[Worker, ...]
    trouble: str = ""

    def __str__(self) -> str:
        """Return it as `atelier doctor` shows it."""
        polling = [_heard_of(worker) for worker in self.workers if worker.status == WorkerStatus.ONLINE]
        last = max(self.workers, key=_last_heartbeat, default=None)
        silent = f"none polls; the last was {_heard_of(last)}" if last else "none has ever polled"
        return f"{self.pool}: {', '.join(polling) or silent}" + (f" ({self.trouble})" if self.trouble else "")


def read_services() -> list[Service]:
    """Return every work pool that a deployment on the Prefect server of the environment names, with its workers."""
    with get_client(sync_client=True) as client:
        pools = {deployment.work_pool_name for deployment in our_deployments(client)}
        return [_service(client, pool) for pool in sorted(filter(None, pools))]


def _service(client: SyncPrefectClient, name: str) -> Service:
    pool = find_pool(client, name)
    return Service(name, tuple(client.read_workers_for_work_pool(name)) if pool else (), trouble_of(name, pool))


def _heard_of(worker: Worker) -> str:
    return f"{worker.name}, heard of at {_last_heartbeat(worker):%Y-%m-%d %H:%M:%S} UTC"


def _last_heartbeat(worker: Worker) -> datetime:
    return worker.last_heartbeat_time or datetime.min.replace(tzinfo=UTC)
