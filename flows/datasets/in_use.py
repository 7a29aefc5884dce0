"""Which version of a dataset is in use, where a project's folder may have been left behind.

`data.dvc` says so, and MLflow has a record of every version. A folder that was made again, such as a container's, or
that of a worker while another one built, has an older `data.dvc`, or none: MLflow then knows a newer version than the
one that the file names. That one is in use, or images would be lost.
"""

from dataclasses import dataclass

from flows.config.settings import Settings
from flows.datasets.dvc_file import entry_of, tracked_md5, write_entry
from flows.datasets.dvc_remote import default_remote
from flows.datasets.errors import GoneVersionError, LostVersionError
from flows.datasets.upkeep import is_lost
from flows.datasets.versions import restore
from flows.datasets.withdrawal_ledger import SharedList, mirror, shared_list
from flows.runtime.locks import locked_here
from flows.runtime.progress import echo
from flows.runtime.records import DatasetVersion
from flows.tracking.runs import DATASETS_EXPERIMENT, Tracking


@dataclass(frozen=True)
class InUse:
    """The version in use of a dataset.

    md5: None where there is no version yet
    record: what MLflow knows of it; None where nothing
    newest: the record of the last version that MLflow knows, which is another one only where `data.dvc` is ahead
    is_behind: whether `data.dvc` names none, an older one, or one that MLflow does not know and that is lost
    listed: the images that were taken out, as all workers see them
    """

    md5: str | None
    record: DatasetVersion | None
    newest: DatasetVersion | None
    is_behind: bool
    listed: SharedList


def find_in_use(settings: Settings, tracking: Tracking, name: str) -> InUse:
    """Return the version in use of a dataset. Nothing is written.

    Raises:
        VersioningError: `data.dvc` is damaged.
        RemovalError: the list of withdrawn images is damaged.
    """
    used, listed = tracked_md5(settings, name), shared_list(settings, tracking, name)
    known = tracking.finished(DatasetVersion, DATASETS_EXPERIMENT, "dataset", dataset=name)
    if not known:
        return InUse(used, None, None, False, listed)
    newest = known[0][0]
    records = {record.dvc_md5: record for record, _, _ in reversed(known)}
    is_behind = used != newest.dvc_md5 and (used is None or used in records or is_lost(settings, name, used))
    md5 = newest.dvc_md5 if is_behind else used
    return InUse(md5, records.get(md5 or ""), newest, is_behind, listed)


def catch_up(settings: Settings, tracking: Tracking, name: str) -> InUse:
    """Bring `data.dvc`, `data/<name>` and the list of withdrawn images to the version in use, and return that.

    A version that is neither here nor in the remote is told of, and `data/<name>` is left as it was: it is built again
    from its sources, within `max_shrink` of what MLflow knows of it.

    Raises:
        LostVersionError: the version in use is corrupt in S3, from where a person may fetch an earlier state.
        VersioningError: the remote cannot be reached.
    """
    before = entry_of(settings, name)
    found = follow(settings, tracking, name)
    try:
        restore(settings, name)
    except LostVersionError as error:
        remote = default_remote(settings)
        if found.is_behind:
            _put(settings, name, before)
        if remote.is_s3 and not isinstance(error, GoneVersionError):
            raise
        echo(
            f"dataset   {name}: version {(found.md5 or '')[:7]} is neither here nor in {remote.url}; "
            "it is built again from its sources"
        )
    return found


def follow(settings: Settings, tracking: Tracking, name: str) -> InUse:
    """Let `data.dvc` and the list of withdrawn images say what is in use, and return that; nothing is fetched."""
    before, found = tracked_md5(settings, name), find_in_use(settings, tracking, name)
    mirror(settings, tracking, name, found.listed)
    if found.is_behind:
        named = f"names {before[:7]}, which is older or lost" if before else "names no version"
        echo(f"dataset   {name}: data.dvc {named}; going on from {(found.md5 or '')[:7]}, the last that MLflow knows")
        _put(settings, name, {"md5": found.md5})
    return found


def _put(settings: Settings, name: str, entry: dict[str, object] | None) -> None:
    with locked_here(settings, "dvc"):
        write_entry(settings, name, entry)
