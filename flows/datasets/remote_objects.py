"""What the remote has of a version, asked of it directly, and sending again single objects that it has lost.

DVC takes every shard to be there as soon as the version's list of files is: it neither tells of one that is gone nor
sends it again.
"""

import json
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flows.config.settings import Settings
from flows.datasets.dvc_cache import cached
from flows.datasets.dvc_remote import Remote, default_remote
from flows.datasets.errors import VersioningError

MAX_LIST_BYTES = 1 << 28  # of the list of a version's files
REQUESTS_AT_A_TIME = 16


def missing_in_remote(settings: Settings, md5: str) -> list[str] | None:
    """Return the MD5s of what the default remote lacks of a version: of its list of files, or of some of these.

    Returns:
        Nothing where all of it is there; None where the remote cannot be asked.
    """
    from flows.sources.s3 import MissingBucketError, StorageError

    try:
        remote = default_remote(settings)
        lost = _not_there(remote, [md5])
        return lost or _not_there(remote, [file["md5"] for file in _list_of_files(settings, remote, md5)])
    except MissingBucketError:
        return [md5]
    except (VersioningError, StorageError, OSError, ValueError):
        return None


def lacks(settings: Settings, digests: Iterable[str]) -> bool:
    """Return whether the default remote answers that it does not have one of some objects."""
    from flows.sources.s3 import StorageError

    try:
        return bool(_not_there(default_remote(settings), digests))
    except (VersioningError, StorageError, OSError):
        return False


def send_objects(settings: Settings, digests: Iterable[str]) -> None:
    """Send objects of DVC's cache to the default remote.

    Raises:
        VersioningError: it does not take them.
    """
    from flows.sources import s3

    remote = default_remote(settings)
    for digest in digests:
        file, url = cached(settings, digest), _place(remote, digest)
        try:
            if remote.is_s3:
                s3.send(file, url, endpoint=remote.endpoint)
            else:
                Path(url).parent.mkdir(parents=True, exist_ok=True)
                arriving = Path(f"{url}.partial")
                shutil.copyfile(file, arriving)
                arriving.rename(url)
        except (s3.StorageError, OSError) as error:
            raise VersioningError(f"{digest} cannot be sent to the remote '{remote.name}' again: {error}") from None


def _list_of_files(settings: Settings, remote: Remote, md5: str) -> list[dict[str, str]]:
    from flows.sources import s3

    file = cached(settings, md5)
    if file.exists():
        return list(json.loads(file.read_bytes()))
    url = _place(remote, md5)
    text = s3.read(url, limit=MAX_LIST_BYTES, endpoint=remote.endpoint) if remote.is_s3 else Path(url).read_bytes()
    return list(json.loads(text))


def _not_there(remote: Remote, digests: Iterable[str]) -> list[str]:
    from flows.sources import s3

    wanted = list(digests)
    if remote.is_s3:

        def there(digest: str) -> bool:
            return next(s3.list_objects(_place(remote, digest), endpoint=remote.endpoint), None) is not None

        with ThreadPoolExecutor(REQUESTS_AT_A_TIME) as threads:
            found = list(threads.map(there, wanted))
        return [digest for digest, is_there in zip(wanted, found, strict=True) if not is_there]
    folder = Path(remote.url)
    if folder.exists() and not folder.is_dir():
        raise VersioningError(f"{folder} is not a folder")
    return [digest for digest in wanted if not Path(_place(remote, digest)).exists()]


def _place(remote: Remote, digest: str) -> str:
    return f"{remote.url}/files/md5/{digest[:2]}/{digest[2:]}"
