"""Whether versions can still be had, and sending one again that DVC's cache or the remote has lost."""

from flows.config.settings import Settings
from flows.datasets.dvc import JOBS, dvc
from flows.datasets.dvc_cache import not_in_cache
from flows.datasets.dvc_file import data_path, tracked
from flows.datasets.errors import LostVersionError, VersioningError
from flows.datasets.remote_mark import check_mark
from flows.datasets.remote_objects import missing_in_remote, send_objects
from flows.datasets.versions import (
    CONTENT,
    add_and_push,
    is_materialized,
    materialize,
    materialized_home,
    write_home_config,
)
from flows.runtime.progress import echo
from flows.tracking.runs import Tracking
from gan_models.data.shards import shard_paths


def ensure_kept(settings: Settings, tracking: Tracking, name: str, md5: str) -> bool:
    """Return whether a version can be had, after sending again what the remote lost of it and is here still.

    It costs one request a file where nothing is lost, and one for the list of files.

    Raises:
        VersioningError: it is here, is not in the remote, and cannot be sent there; or the remote has lost everything.
    """
    if not missing_in_remote(settings, md5):  # or nobody can say, and whoever needs the version is told why
        return True
    check_mark(settings, tracking)
    return _send_again(settings, name, md5)


def is_lost(settings: Settings, name: str, md5: str) -> bool:
    """Return whether a version is neither here nor in the remote, which was asked."""
    return not _is_here(settings, name, md5) and bool(missing_in_remote(settings, md5))


def check_kept(settings: Settings) -> str:
    """Return in words where the versions in use are.

    Raises:
        VersioningError: the remote has lost one that is here.
    """
    names = tracked(settings)
    missing = [name for name, md5 in names.items() if missing_in_remote(settings, md5)]
    lost = [name for name in missing if _is_here(settings, name, names[name])]
    if lost:
        raise VersioningError(
            f"the remote has lost the versions in use of {', '.join(lost)}; "
            "run `atelier dataset` with a config of each, which sends them again from here"
        )
    remarks = dict.fromkeys(missing, " (not here yet: built when it is asked for)")
    return ", ".join(f"{name} {md5[:7]}{remarks.get(name, '')}" for name, md5 in names.items()) or "none yet"


def _is_here(settings: Settings, name: str, md5: str) -> bool:
    if is_materialized(settings, md5) or not not_in_cache(settings, md5):
        return True
    return bool(shard_paths(settings.root / data_path(name)))


def _send_again(settings: Settings, name: str, md5: str) -> bool:
    home = materialized_home(settings, md5)
    try:
        if is_materialized(settings, md5):
            write_home_config(settings, md5)  # it names cache and remote as they were when it was made
        if not_in_cache(settings, md5) and is_materialized(settings, md5):
            dvc(["add", CONTENT], home, settings)
        if not not_in_cache(settings, md5):
            materialize(settings, name, md5)
            dvc(["push", *JOBS, f"{CONTENT}.dvc"], home, settings)
        elif shard_paths(settings.root / data_path(name)):
            add_and_push(settings, name, only=md5)
        else:
            return False
    except LostVersionError:
        return False
    send_objects(settings, missing_in_remote(settings, md5) or ())  # a shard whose list DVC found there
    echo(f"dataset   {name}: version {md5[:7]} was not whole in the remote; what was missing is sent again")
    return True
