"""Images below a prefix in S3: an inbox that grows, of which a nightly run downloads only what is new."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import IO, NamedTuple

from flows.sources import s3
from flows.sources.base import SourceError, SourceItem
from flows.sources.deadline import Deadline
from flows.sources.files import check_size, is_ignored, plain_name, read_file
from flows.sources.labels import FolderLabels, first_folder, labels_by_folder
from gan_models.ingest.decoding import UnreadableImageError


class _Listing(NamedTuple):
    """The objects of a bucket. `file`: one a line; `digest`: SHA-256 of the lines."""

    file: IO[bytes]
    num_objects: int
    digest: str
    labels: FolderLabels


class BucketSource:
    """The objects below `s3://bucket/prefix/`, as they are listed when they are first asked for.

    An object is known by its ETag and size. What arrives is kept in a folder until the version is made, so that a run
    that was interrupted goes on where it was.

    Args:
        spec: the address, as it stands in the config.
        arriving: the folder for what arrives.
        folders_are_labels: whether the names of sub-folders say what the images show.
        max_hours: that reading all of them may take.

    Raises:
        StorageError: the address names no bucket.
    """

    def __init__(self, spec: str, arriving: Path, *, folders_are_labels: bool = True, max_hours: float = 12) -> None:
        self.spec = spec
        bucket, prefix = s3.split_url(spec)
        self._url = f"{s3.SCHEME}{bucket}/" + (f"{prefix.rstrip('/')}/" if prefix else "")
        self._prefix_length = len(self._url) - len(f"{s3.SCHEME}{bucket}/")
        self._arriving = arriving
        self._folders_are_labels = folders_are_labels
        self._max_hours = max_hours

    @property
    def num_items(self) -> int:
        """Return how many objects there are."""
        return self._listing.num_objects

    def fingerprint(self) -> str:
        """Return a SHA-256 of the keys, ETags and sizes."""
        return self._listing.digest

    def notes(self) -> tuple[str, ...]:
        """Return which folders are no labels."""
        return self._listing.labels.notes

    def items(self) -> Iterator[SourceItem]:
        """Yield the objects in the order of the listing, which is that of the keys."""
        listing, deadline = self._listing.file, Deadline.after(self._max_hours)
        listing.seek(0)
        while line := listing.readline():
            found = s3.S3Object(*json.loads(line))
            after = listing.tell()
            name = plain_name(found.key[self._prefix_length :])
            yield SourceItem(
                path=name,
                read=partial(_read, self._url, found, self._arriving, deadline),
                label=self._listing.labels.of(name),
                source=self.spec,
                size=found.size,
                version=f"{found.etag}-{found.size}",
            )
            listing.seek(after)

    @cached_property
    def _listing(self) -> _Listing:
        """Return the objects, in a file because there may be millions of them."""
        count, digest = 0, hashlib.sha256(self.spec.encode())
        folders: set[str] = set()
        file = tempfile.TemporaryFile()  # noqa: SIM115  It stays open as long as the source does.
        try:
            for found in s3.list_objects(self._url):
                name = plain_name(found.key[self._prefix_length :])
                if name.endswith("/") or is_ignored(name):
                    continue
                folder = first_folder(name)
                if folder is not None:
                    folders.add(folder)
                line = json.dumps([found.key, found.etag, found.size]).encode() + b"\n"
                file.write(line)
                digest.update(line)
                count += 1
        except s3.StorageError as error:
            raise SourceError(str(error)) from None
        if not count:
            raise SourceError(f"there is nothing below {self.spec}; put images there, labeled ones in sub-folders")
        labels = labels_by_folder(folders, self.spec) if self._folders_are_labels else FolderLabels()
        return _Listing(file, count, digest.hexdigest(), labels)


def _read(url: str, found: s3.S3Object, arriving: Path, deadline: Deadline) -> bytes:
    deadline.seconds_left()
    check_size(found.size)
    if not found.size:
        return b""
    name = hashlib.sha256(f"{url}\n{found.key}\n{found.etag}".encode()).hexdigest()
    target = arriving / name[:2] / name
    try:
        s3.fetch(url, found, target)
    except s3.ObjectGoneError:
        raise UnreadableImageError("the object was replaced or deleted while it was read; it is taken next time") from (
            None
        )
    return read_file(target)
