"""The DVC remote that versions are sent to: which it is, whether it works, and changing it."""

import os
from dataclasses import dataclass
from pathlib import Path

from flows.config.settings import Settings
from flows.datasets.dvc import JOBS, dvc, dvc_config, dvc_json
from flows.datasets.dvc_file import FILE, tracked
from flows.datasets.errors import VersioningError

S3_NAME = "s3"
# DVC's own time-outs are a minute, each tried again; a server that hangs should be told of sooner.
_S3_OPTIONS = {"connect_timeout": "10", "read_timeout": "30"}


@dataclass(frozen=True)
class Remote:
    """The default remote. `endpoint`: of S3-compatible storage that is not Amazon's, if it is set in the project."""

    name: str
    url: str
    endpoint: str | None
    verifies: bool

    @property
    def is_s3(self) -> bool:
        """Return whether it is a bucket, not a folder."""
        return self.url.startswith("s3://")

    def is_inside(self, folder: Path) -> bool:
        """Return whether it is a folder inside another, relative to which it may be written."""
        return not self.is_s3 and (folder / self.url).is_relative_to(folder)


def default_remote(settings: Settings) -> Remote:
    """Return the remote that DVC sends to.

    Raises:
        VersioningError: there is none.
    """
    config = dvc_config(settings)
    name = config.get("core.remote")
    if name is None or f"remote.{name}.url" not in config:
        raise VersioningError("DVC has no default remote; set one with `atelier storage set s3://bucket/prefix`")
    endpoint = config.get(f"remote.{name}.endpointurl")
    return Remote(name, config[f"remote.{name}.url"], endpoint, config.get(f"remote.{name}.verify") == "true")


def check_reachable(settings: Settings) -> Remote:
    """Return the default remote, after one request to it where it is in S3: wrong credentials show before any work.

    Raises:
        VersioningError: there is no remote, it does not verify what it sends, or it cannot be listed.
    """
    from flows.sources import s3

    remote = default_remote(settings)
    if not remote.verifies:
        raise VersioningError(
            f"the remote '{remote.name}' does not verify what it sends; "
            f"run `dvc remote modify {remote.name} verify true`"
        )
    if remote.is_s3:
        try:
            next(s3.list_objects(remote.url, endpoint=remote.endpoint), None)
        except s3.StorageError as error:
            raise VersioningError(f"the remote '{remote.name}' cannot be used: {error}") from None
    return remote


def check_remote(settings: Settings) -> str:
    """Return what the default remote is and what works there, in words, after trying it.

    Raises:
        VersioningError: it cannot be used.
    """
    remote = check_reachable(settings)
    if remote.is_s3:
        return f"{remote.name}, {remote.url}: {probe(remote)}"
    folder = Path(remote.url)
    if folder.exists() and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise VersioningError(
            f"the remote '{remote.name}' cannot be used: {folder} is not a folder that can be written to; "
            "make it one, or name another with `atelier storage set`"
        )
    return f"{remote.name}, {remote.url}"


def probe(remote: Remote) -> str:
    """Return what works in S3, in words, after writing, listing, reading and deleting an object.

    Raises:
        VersioningError: one of these does not.
    """
    from flows.sources import s3

    try:
        next(s3.list_objects(remote.url, endpoint=remote.endpoint), None)  # some servers make missing buckets
        return s3.probe(remote.url, endpoint=remote.endpoint)
    except s3.StorageError as error:
        raise VersioningError(f"the remote '{remote.name}' cannot be used: {error}") from None


def set_remote(settings: Settings, url: str, endpoint: str | None = None) -> Remote:
    """Make `s3://bucket/prefix`, or a folder, the default remote, after S3 was tried. Credentials are never written.

    Raises:
        VersioningError: it cannot be used; the project's remote is then as it was.
    """
    from flows.sources import s3

    if url.startswith("s3://"):
        try:
            s3.split_url(url)
        except s3.StorageError as error:
            raise VersioningError(str(error)) from None
        remote = Remote(S3_NAME, url.rstrip("/"), endpoint, verifies=True)
        probe(remote)
    elif "://" in url:
        raise VersioningError(f"{url.split('://')[0]}:// is not known here; name s3://bucket/prefix, or a folder")
    else:
        folder = (settings.root / url).resolve()
        inside = folder.is_relative_to(settings.root)  # then the project may be moved, and cloned
        remote = Remote("local", str(folder.relative_to(settings.root) if inside else folder), None, verifies=True)
    options = {"verify": "true", **(_S3_OPTIONS if remote.is_s3 else {})}
    if endpoint and remote.is_s3:
        options["endpointurl"] = endpoint
    file = settings.root / ".dvc" / "config"
    before = file.read_bytes() if file.exists() else None
    try:
        dvc(["remote", "add", "--force", "--default", remote.name, remote.url], settings.root, settings)
        for option, value in options.items():
            dvc(["remote", "modify", remote.name, option, value], settings.root, settings)
    except BaseException:
        if before is not None:
            file.write_bytes(before)
        raise
    return remote


def send_tracked(settings: Settings) -> str:
    """Send the version in use of every dataset to the default remote, as far as this machine has them.

    Returns:
        What was sent, in DVC's words.

    Raises:
        VersioningError: it could not be sent.
    """
    if not tracked(settings):
        return "there are no versions to send yet"
    return dvc(["push", *JOBS, FILE], settings.root, settings).splitlines()[-1]


def not_in_remote(settings: Settings) -> dict[str, str]:
    """Return files of the versions in use that the default remote lacks, or this machine, with DVC's word for which.

    Raises:
        VersioningError: the remote cannot be asked.
    """
    return {path: str(state) for path, state in dvc_json(["status", "--cloud"], settings.root, settings).items()}


def credentials_from() -> str:
    """Return where the SDK would take credentials from, in words; never what they are."""
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return "the environment (AWS_ACCESS_KEY_ID)"
    if profile := os.environ.get("AWS_PROFILE"):
        return f"the profile '{profile}'"
    import botocore.session

    found = botocore.session.Session().get_credentials()
    return f"the AWS SDK ({found.method})" if found else "nowhere: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
