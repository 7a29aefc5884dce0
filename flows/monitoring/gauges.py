"""Every metric there is: its name, its labels, and what it says."""

from collections.abc import Iterable
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily


class Gauge(NamedTuple):
    """What a metric says, in its base unit, and what its values are told apart by."""

    what: str
    labels: tuple[str, ...]


OF_A_DEPLOYMENT = ("stage", "model")

GAUGES: dict[str, Gauge] = {
    "atelier_up": Gauge("1 where a server told in time what it was asked, 0 where it did not.", ("server",)),
    "atelier_answer_seconds": Gauge("How long a server took to tell all that it was asked.", ("server",)),
    "atelier_queue_age_seconds": Gauge(
        "How long ago the run was due that has waited longest for a worker; 0 where none waits.",
        (*OF_A_DEPLOYMENT, "pool"),
    ),
    "atelier_waiting_runs": Gauge("Runs that are due and have not begun.", (*OF_A_DEPLOYMENT, "pool")),
    "atelier_running_runs": Gauge("Runs under way.", OF_A_DEPLOYMENT),
    "atelier_failed_runs": Gauge(
        "Runs of the last 24 hours that ended so, Failed or Crashed.", (*OF_A_DEPLOYMENT, "state")
    ),
    "atelier_last_run_failed": Gauge("1 where the last run that ended did not complete, else 0.", OF_A_DEPLOYMENT),
    "atelier_last_run_seconds": Gauge("How long the last run that ended had run.", OF_A_DEPLOYMENT),
    "atelier_last_success_timestamp_seconds": Gauge(
        "When a run last completed, also with nothing new.", OF_A_DEPLOYMENT
    ),
    "atelier_schedule_seconds": Gauge("The longest time between the next planned runs.", OF_A_DEPLOYMENT),
    "atelier_champion": Gauge("1 where a registered model has a champion, 0 where it has none.", ("model",)),
    "atelier_champion_timestamp_seconds": Gauge("When the version was registered that is champion.", ("model",)),
    "atelier_last_decision_timestamp_seconds": Gauge(
        "When the stage promote last decided on a new version.", ("model",)
    ),
    "atelier_disk_free_bytes": Gauge("Bytes that can be written where a folder is.", ("folder",)),
    "atelier_disk_size_bytes": Gauge("Bytes of the file system where a folder is.", ("folder",)),
}


class Values:
    """Values of metrics, as Prometheus' client takes them; labels are data, whatever is in them."""

    def __init__(self) -> None:
        self._families: dict[str, GaugeMetricFamily] = {}

    def add(self, name: str, value: float, **labels: str) -> None:
        """Add a value of a metric of `GAUGES`, with each of its labels."""
        gauge = GAUGES[name]
        family = self._families.setdefault(name, GaugeMetricFamily(name, gauge.what, labels=gauge.labels))
        family.add_metric([labels[label] for label in gauge.labels], value)

    def families(self) -> Iterable[GaugeMetricFamily]:
        """Return them by metric."""
        return self._families.values()
