"""Images below a prefix in S3: an inbox that grows, of which a nightly run downloads only what is new."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import IO

from flows.sources import s3
from flows.sources.base import SourceError, SourceItem
from flows.sources.files import check_size, is_hidden, label_of, plain_name, read_file
from gan_models.ingest.decoding import UnreadableImageError


class BucketSource:
    """The objects below `s3://bucket/prefix/`, as they are listed when they are first asked for.

    An object is known by its ETag and size. What arrives is kept in a folder until the version is made, so that a run
    that was interrupted goes on where it was.
    """

    def __init__(self, spec: str, arriving: Path) -> None:
        self.spec = spec
        bucket, prefix = s3.split_url(spec)
        self._url = f"{s3.SCHEME}{bucket}/" + (f"{prefix.rstrip('/')}/" if prefix else "")
        self._prefix_length = len(self._url) - len(f"{s3.SCHEME}{bucket}/")
        self._arriving = arriving

    @property
    def num_items(self) -> int:
        return self._listing[1]

    def fingerprint(self) -> str:
        return self._listing[2]

    def items(self) -> Iterator[SourceItem]:
        """In the order of the listing, which is that of the keys."""
        listing = self._listing[0]
        listing.seek(0)
        while line := listing.readline():
            found = s3.S3Object(*json.loads(line))
            after = listing.tell()
            name = plain_name(found.key[self._prefix_length :])
            yield SourceItem(
                path=name,
                read=partial(_read, self._url, found, self._arriving),
                label=label_of(name),
                source=self.spec,
                size=found.size,
                version=f"{found.etag}-{found.size}",
            )
            listing.seek(after)

    @cached_property
    def _listing(self) -> tuple[IO[bytes], int, str]:
        """The objects, one a line, in a file: there may be millions; how many they are; and SHA-256 of the lines."""
        count, digest = 0, hashlib.sha256(self.spec.encode())
        file = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the source is
        try:
            for found in s3.list_objects(self._url):
                if found.key.endswith("/") or is_hidden(found.key[self._prefix_length :]):
                    continue
                line = json.dumps([found.key, found.etag, found.size]).encode() + b"\n"
                file.write(line)
                digest.update(line)
                count += 1
        except s3.StorageError as error:
            raise SourceError(str(error)) from None
        if not count:
            raise SourceError(f"there is nothing below {self.spec}; put images there, labeled ones in sub-folders")
        return file, count, digest.hexdigest()


def _read(url: str, found: s3.S3Object, arriving: Path) -> bytes:
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
