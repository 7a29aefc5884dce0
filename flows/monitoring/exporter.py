"""What answers Prometheus: each server is asked when Prometheus asks, and never waited for longer than it waits."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from threading import Lock, Thread
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from flows.monitoring.gauges import Values
from flows.runtime.progress import echo
from gan_models.text import one_line

SCRAPE_SECONDS = 15.0  # below scrape_timeout in deploy/prometheus/prometheus.yml

Source = Callable[[], Values]


class _Answer(NamedTuple):
    values: Values
    seconds: float


class Exporter(Collector):
    """The metrics of a project.

    Args:
        sources: ask a server for its metrics, by its name. Whatever one raises, the others' are there.
        folders: whose disks are measured, by what they are called.
        seconds: that the servers have, all of them together.
    """

    def __init__(
        self, sources: Mapping[str, Source], folders: Mapping[str, Path], seconds: float = SCRAPE_SECONDS
    ) -> None:
        self._sources = sources
        self._folders = folders
        self._seconds = seconds
        self._asked: dict[str, Future[_Answer]] = {}
        self._lock = Lock()

    def describe(self) -> list[GaugeMetricFamily]:
        """Return nothing, so that no server is asked when the exporter is made."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what the servers say now, which of them said something, and how much room there is on disks."""
        began = time.monotonic()
        own = Values()
        for server, asked in [(server, self._ask(server)) for server in self._sources]:
            try:
                answer = asked.result(timeout=max(0.0, began + self._seconds - time.monotonic()))
            except Exception as error:
                reason = "no answer in time" if isinstance(error, TimeoutError) else one_line(error, 300)
                echo(f"metrics   {server}: {reason or type(error).__name__}")
                own.add("atelier_up", 0, server=server)
            else:
                own.add("atelier_up", 1, server=server)
                own.add("atelier_answer_seconds", answer.seconds, server=server)
                yield from answer.values.families()
        for name, folder in self._folders.items():
            disk = shutil.disk_usage(folder)
            own.add("atelier_disk_free_bytes", disk.free, folder=name)
            own.add("atelier_disk_size_bytes", disk.total, folder=name)
        yield from own.families()

    def _ask(self, server: str) -> Future[_Answer]:
        """Return the answer that is on its way: a server that hangs is not asked again before it has answered."""
        with self._lock:
            asked = self._asked.get(server)
            if asked is None or asked.done():
                asked = self._asked[server] = Future()
                Thread(target=_fill, args=(asked, self._sources[server]), daemon=True).start()
            return asked


def _fill(future: Future[_Answer], source: Source) -> None:
    began = time.monotonic()
    try:
        future.set_result(_Answer(source(), time.monotonic() - began))
    except BaseException as error:
        future.set_exception(error)
