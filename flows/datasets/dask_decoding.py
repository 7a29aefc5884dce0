"""Decoding spread over a Dask cluster, by Prefect's own task runner.

The workers of the cluster read the files themselves, so they need the same paths, or the same bucket and credentials.
What they send back is in the order of the files: the shards are byte for byte those that one machine makes.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect_dask.task_runners import DaskTaskRunner, PrefectDaskFuture

from flows.sources.base import SourceError, SourceItem
from gan_models.ingest.decode_pool import DecodingWorkers
from gan_models.ingest.file_check import Demands, Examined

FILES_AT_ONCE = 64  # in one task: Prefect spends some hundredths of a second on each
BYTES_AT_ONCE = 32 << 20
TASKS_PER_WORKER = 2  # under way, so that none waits for work; they bound the memory of this process


@task(name="examine", cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=5)
def examine_files(files: Callable[[], list[Examined]]) -> list[Examined]:
    """Return what becomes of files. On a worker; what to do is one call: Prefect looks into lists that it passes on."""
    return files()


def _examine(items: list[SourceItem], demands: Demands) -> list[Examined]:
    """Return what becomes of each file, decoded by processes of the machine that this runs on."""
    with DecodingWorkers(demands) as workers:
        return list(workers.examine(items))


def on_dask(
    address: str,
) -> Callable[[Iterable[SourceItem], Demands, Callable[[SourceItem], Examined | None]], Iterator[Examined]]:
    """Return a function that examines files on the cluster whose scheduler is at `address`, such as `tcp://scheduler:8786`.

    To be called within a flow. Raises a SourceError where nobody answers at the address.
    """

    def examine(
        items: Iterable[SourceItem], demands: Demands, recall: Callable[[SourceItem], Examined | None]
    ) -> Iterator[Examined]:
        with DaskTaskRunner(address=address) as runner:
            try:
                workers = runner.client.scheduler_info(n_workers=-1)["workers"]
            except OSError:
                raise SourceError(
                    f"the Dask scheduler at {address} does not answer; start it or unset ATELIER_DASK_ADDRESS"
                ) from None
            most = TASKS_PER_WORKER * max(1, len(workers))
            under_way: deque[tuple[list[Examined | None], PrefectDaskFuture[list[Examined]] | None]] = deque()
            for chunk in _chunks(items, recall):
                files = [item for item, remembered in chunk if remembered is None]
                future = None
                if files:
                    future = runner.submit(examine_files, {"files": partial(_examine, files, demands)})
                under_way.append(([remembered for _, remembered in chunk], future))
                if len(under_way) > most:
                    yield from _in_order(*under_way.popleft())
            while under_way:
                yield from _in_order(*under_way.popleft())

    return examine


def _in_order(
    remembered: list[Examined | None], future: PrefectDaskFuture[list[Examined]] | None
) -> Iterator[Examined]:
    fresh = iter(future.result() if future else [])
    for one in remembered:
        yield one or next(fresh)


def _chunks(
    items: Iterable[SourceItem], recall: Callable[[SourceItem], Examined | None]
) -> Iterator[list[tuple[SourceItem, Examined | None]]]:
    chunk: list[tuple[SourceItem, Examined | None]] = []
    size = 0
    for item in items:
        chunk.append((item, recall(item)))
        size += item.size
        if len(chunk) >= FILES_AT_ONCE or size >= BYTES_AT_ONCE:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
