"""A mark in the remote: by it a folder that is not mounted, or an emptied bucket, is told from one that is still new.

DVC takes both for a remote that lacks every version. All of them would be built again from what the sources hold now,
and sent to the disk below the mount.
"""

from pathlib import Path

from flows.config.settings import Settings
from flows.datasets.dvc_remote import Remote, check_reachable, default_remote
from flows.datasets.errors import VersioningError
from flows.tracking.runs import DATASETS_EXPERIMENT, Tracking
from gan_models.files import write_durably

REMOTE = "remote"  # tag of a version's run: the address that it was sent to
_NAME = "atelier-versions.txt"
_TEXT = b"""Atelier keeps versions of datasets here, in files/md5, and knows the place by this file: leave it here.
Where versions were sent and it is missing, the place is taken for one that is not mounted, or was emptied.
"""


def is_marked(remote: Remote) -> bool:
    """Return whether versions may have been sent to a remote before.

    Raises:
        StorageError: S3 does not say.
    """
    from flows.sources import s3

    if not remote.is_s3:
        return (Path(remote.url) / _NAME).exists()
    try:
        return next(s3.list_objects(f"{remote.url}/{_NAME}", endpoint=remote.endpoint), None) is not None
    except s3.MissingBucketError:
        return False


def mark(settings: Settings, remote: Remote) -> None:
    """Leave the mark in a remote that has none yet; a folder of the project's own needs none.

    Raises:
        VersioningError: the remote does not take it.
    """
    from flows.sources import s3

    try:
        if remote.is_inside(settings.root) or is_marked(remote):
            return
        if remote.is_s3:
            s3.write(f"{remote.url}/{_NAME}", _TEXT, endpoint=remote.endpoint)
        else:
            Path(remote.url).mkdir(parents=True, exist_ok=True)
            write_durably(Path(remote.url) / _NAME, _TEXT)
    except (s3.StorageError, OSError) as error:
        raise VersioningError(f"the remote '{remote.name}' takes no versions: {error}") from None


def check_mark(settings: Settings, tracking: Tracking) -> None:
    """Raise a VersioningError where versions were sent to the default remote, and it has no mark now.

    A folder of the project's own, such as `.atelier/dvc-remote`, may be deleted: what was in it is built again.
    """
    remote = default_remote(settings)
    if is_bare(settings, remote) and tracking.has_finished(DATASETS_EXPERIMENT, "dataset", **{REMOTE: remote.url}):
        endpoint = f" --endpoint-url {remote.endpoint}" if remote.endpoint else ""
        raise VersioningError(
            f"versions were sent to {remote.url}, and nothing is left of them there; {is_it_there(remote)} "
            f"To begin anew there, run `atelier storage set {remote.url}{endpoint}`"
        )


def is_bare(settings: Settings, remote: Remote) -> bool:
    """Return whether a remote that has to have a mark has none; one that does not answer is passed over.

    Whoever needs it says so.
    """
    from flows.sources.s3 import StorageError

    try:
        return not (remote.is_inside(settings.root) or is_marked(remote))
    except (StorageError, OSError):
        return False


def is_it_there(remote: Remote) -> str:
    """Return what to ask oneself of a remote that has no mark."""
    if remote.is_s3:
        return "was the bucket emptied or replaced? Bring its objects back."
    return "is it mounted? Mount it."


def open_remote(settings: Settings, tracking: Tracking) -> Remote:
    """Return the default remote, which is there and may be sent to; the first time it is marked.

    Raises:
        VersioningError: it cannot be used, or has lost what was sent to it.
    """
    remote = check_reachable(settings)
    check_mark(settings, tracking)
    mark(settings, remote)
    return remote
