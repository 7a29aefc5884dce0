"""Withdrawals where every worker sees them: each change of a dataset's list is a run in MLflow, never changed again.

The file `data/<name>.withdrawn.csv` lies in a folder that may be thrown away, or be older than what another worker did.
It is a mirror for people and for git. A line that MLflow has never seen is entered there; a line that is missing is
written again. Since changes are only ever added, two workers that make one at the same time lose none.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Final

from flows.config.settings import Settings
from flows.datasets.withdrawals import Withdrawal, withdrawals, write_list
from flows.runtime.fingerprint import digest_of
from flows.runtime.progress import echo
from flows.runtime.records import Record
from flows.tracking.runs import DATASETS_EXPERIMENT, Tracking

KIND: Final = "withdrawal"
MAX_LINES = 200  # of one change: MLflow takes no more than 100 tags in a request, of 7,000 characters each


class ListChange(Record):
    """A change of a dataset's list: images that were taken out, or in again, with who decided so, when and why."""

    name: str
    withdrawn: tuple[Withdrawal, ...] = ()
    readmitted: tuple[Withdrawal, ...] = ()


@dataclass(frozen=True)
class SharedList:
    """The list as every worker has to see it, by id.

    unknown: lines of this project's file that MLflow has not seen yet; they count
    """

    withdrawn: dict[str, Withdrawal]
    unknown: dict[str, Withdrawal]


def shared_list(settings: Settings, tracking: Tracking, name: str) -> SharedList:
    """Return the list of a dataset. Nothing is written.

    Raises:
        RemovalError: this project's file is damaged.
    """
    known: set[tuple[str, str]] = set()  # one image may be withdrawn, readmitted, and withdrawn again
    listed: dict[str, Withdrawal] = {}
    for change in _changes(tracking, name):
        known.update((entry.id, entry.when) for entry in change.withdrawn)
        listed |= {entry.id: entry for entry in change.withdrawn}
        for entry in change.readmitted:
            listed.pop(entry.id, None)
    unknown = {key: entry for key, entry in withdrawals(settings, name).items() if (key, entry.when) not in known}
    return SharedList(listed | unknown, unknown)


def mirror(settings: Settings, tracking: Tracking, name: str, shared: SharedList) -> None:
    """Enter in MLflow what it has not seen, and let this project's file say what all workers see."""
    if shared.unknown:
        enter(tracking, name, withdrawn=shared.unknown.values())
        echo(f"dataset   {name}: {len(shared.unknown):,} withdrawn images of the list are entered in MLflow")
    if shared.withdrawn != withdrawals(settings, name):
        write_list(settings, name, shared.withdrawn)
        echo(f"dataset   {name}: the list of withdrawn images is now the one that MLflow keeps")


def enter(
    tracking: Tracking, name: str, *, withdrawn: Iterable[Withdrawal] = (), readmitted: Iterable[Withdrawal] = ()
) -> None:
    """Enter a change in MLflow, from where it holds for every worker."""
    for field, lines in (("withdrawn", tuple(withdrawn)), ("readmitted", tuple(readmitted))):
        for start in range(0, len(lines), MAX_LINES):
            some = {field: lines[start : start + MAX_LINES]}
            fingerprint = digest_of(dataset=name, lines={field: [asdict(line) for line in some[field]]})
            run_id = tracking.open_run(DATASETS_EXPERIMENT, KIND, fingerprint, name=name, tags={"dataset": name})
            tracking.finish(ListChange(fingerprint=fingerprint, run_id=run_id, name=name, **some))


def _changes(tracking: Tracking, name: str) -> Iterator[ListChange]:
    """Yield the changes in the order in which they were made."""
    for change, _, _ in reversed(tracking.finished(ListChange, DATASETS_EXPERIMENT, KIND, dataset=name)):
        yield change
