"""The only file that talks to S3, and to whatever speaks its language.

Credentials, region and endpoint come from the standard variables and files of the AWS SDK (`AWS_ACCESS_KEY_ID`,
`AWS_PROFILE`, `AWS_ENDPOINT_URL`...); none of them is ever part of a message.
"""

import contextlib
import functools
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from flows.runtime.deadline import within
from gan_models.errors import AtelierError
from gan_models.files import is_disk_full
from gan_models.text import one_line

SCHEME = "s3://"
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 10, 30, 4  # a server that hangs is told of after two minutes
REQUEST_SECONDS = 600.0  # for an answer, with all attempts, and however the bytes trickle in
MIN_BYTES_PER_SECOND = 50_000  # of an object, beyond that
_BLOCK = 1 << 20
_GONE = ("NoSuchKey", "404", "PreconditionFailed", "412", "InvalidRange", "416")
_REMEDIES = {
    "NoSuchBucket": "there is no such bucket; create it or correct its name",
    "InvalidAccessKeyId": "the access key is not known there; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY again",
    "SignatureDoesNotMatch": "the secret key is wrong; set AWS_SECRET_ACCESS_KEY again",
    "ExpiredToken": "the credentials have expired; get new ones",
    "AccessDenied": "these credentials have no right to do that; ask for the right, or use others",
    "InternalError": "the S3 server at {server} failed inside: its log says why; the disk it writes to may be full",
    "SlowDown": "it asks for fewer requests, and did so again when asked later; try again in a while",
}
_REMEDIES |= {"403": _REMEDIES["AccessDenied"], "Forbidden": _REMEDIES["AccessDenied"], "503": _REMEDIES["SlowDown"]}
_REMEDIES["500"] = _REMEDIES["InternalError"]


class StorageError(AtelierError):
    """S3 did not do what was asked; the message says why and what to do."""


class ObjectGoneError(StorageError):
    """The object was deleted or replaced after it was listed."""


class MissingBucketError(StorageError):
    """There is no such bucket."""


@dataclass(frozen=True)
class S3Object:
    """One object as it was listed: `etag` and `size` (bytes) change when its content does."""

    key: str
    etag: str
    size: int


def split_url(url: str) -> tuple[str, str]:
    """Return bucket and key, or prefix, of `s3://bucket/key`.

    Raises:
        StorageError: it names no bucket.
    """
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc:
        shown = f"{SCHEME}...@{parts.netloc.split('@')[-1]}" if "@" in parts.netloc else url
        raise StorageError(f"{shown!r} is not an address in S3; write it as s3://bucket/prefix, without credentials")
    return parts.netloc, url.removeprefix(f"{SCHEME}{parts.netloc}").lstrip("/")


def server(endpoint: str | None) -> str:
    """Return the address of the server that is asked, for a person; Amazon's are called S3."""
    return endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "S3"


def list_objects(url: str, *, endpoint: str | None = None) -> Iterator[S3Object]:
    """Yield the objects below `s3://bucket/prefix`, in the order of their keys, page by page.

    Raises:
        StorageError: there is no such bucket, or it may not be listed, or S3 does not answer.
    """
    bucket, prefix = split_url(url)
    with _in_words(f"{url} cannot be listed", endpoint):
        pages = iter(_client(endpoint).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix))
        while page := within(REQUEST_SECONDS, lambda: next(pages, None)):
            for found in page.get("Contents", []):
                yield S3Object(str(found["Key"]), str(found["ETag"]).strip('"'), int(found["Size"]))


def fetch(url: str, wanted: S3Object, target: Path, *, endpoint: str | None = None) -> None:
    """Download an object into a file, going on where an earlier attempt was cut off; a file that is there is kept.

    Only the object as it was listed is taken: S3 is asked for this ETag.

    Raises:
        ObjectGoneError: it is no longer what was listed.
        StorageError: it may not be read, or S3 does not answer.
        OSError: the disk is full.
    """
    from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

    if target.exists():
        return
    bucket, _ = split_url(url)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    with _in_words(f"{SCHEME}{bucket}/{wanted.key} cannot be read", endpoint), partial.open("ab") as file:

        def download() -> None:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    _go_on(bucket, wanted, file, endpoint)
                    return
                except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                    if attempt == ATTEMPTS:
                        raise

        within(_seconds_for(wanted.size), download)
    partial.rename(target)


def _go_on(bucket: str, wanted: S3Object, file: IO[bytes], endpoint: str | None) -> None:
    """Append what a file lacks of an object."""
    if file.tell() > wanted.size:
        file.truncate(0)
    held = file.seek(0, os.SEEK_END)
    if held == wanted.size:
        return
    part = {"Range": f"bytes={held}-"} if held else {}
    answer = _client(endpoint).get_object(Bucket=bucket, Key=wanted.key, IfMatch=wanted.etag, **part)
    if held and answer["ResponseMetadata"]["HTTPStatusCode"] != 206:
        file.truncate(0)  # a server that knows no ranges sends all of it
    for block in answer["Body"].iter_chunks(_BLOCK):
        file.write(block)
    if file.seek(0, os.SEEK_END) != wanted.size:
        raise StorageError(f"{SCHEME}{bucket}/{wanted.key} ended after {file.tell():,} of {wanted.size:,} bytes")


def read(url: str, *, limit: int, endpoint: str | None = None) -> bytes:
    """Return the content of one object, unless it has more than `limit` bytes.

    Raises:
        ObjectGoneError: there is no such object.
        StorageError: it is too large, may not be read, or S3 does not answer.
    """
    bucket, key = split_url(url)
    with _in_words(f"{url} cannot be read", endpoint):
        answer = within(REQUEST_SECONDS, lambda: _client(endpoint).get_object(Bucket=bucket, Key=key))
        size = answer["ContentLength"]
        if size > limit:
            raise StorageError(f"{url} has {size:,} bytes, more than the limit of {limit:,}")
        return bytes(within(_seconds_for(size), answer["Body"].read))


def send(file: Path, url: str, *, endpoint: str | None = None) -> None:
    """Put a file's content into `s3://bucket/key`.

    Raises:
        StorageError: it may not be written, or S3 does not answer.
        OSError: the file cannot be read.
    """
    bucket, key = split_url(url)
    with _in_words(f"{url} cannot be written", endpoint), file.open("rb") as stream:
        seconds = _seconds_for(file.stat().st_size)
        within(seconds, lambda: _client(endpoint).upload_fileobj(stream, bucket, key))


def write(url: str, content: bytes, *, endpoint: str | None = None) -> None:
    """Put a few bytes into `s3://bucket/key`.

    Raises:
        StorageError: they may not be written, or S3 does not answer.
    """
    bucket, key = split_url(url)
    with _in_words(f"{url} cannot be written", endpoint):
        within(REQUEST_SECONDS, lambda: _client(endpoint).put_object(Bucket=bucket, Key=key, Body=content))


def probe(url: str, *, endpoint: str | None = None) -> str:
    """Return what works below `s3://bucket/prefix`, in words: an object is written, listed, read and deleted there.

    Raises:
        StorageError: one of these does not work, or S3 lets a second writer replace what must be written once.
    """
    from botocore.exceptions import ClientError

    bucket, prefix = split_url(url)
    key = f"{prefix.rstrip('/')}/atelier-probe-{uuid.uuid4().hex}".lstrip("/")
    client = _client(endpoint)
    with _in_words(f"an object cannot be written below {url}", endpoint):
        client.put_object(Bucket=bucket, Key=key, Body=b"1", IfNoneMatch="*")
    try:
        listed = [found.key for found in list_objects(f"{SCHEME}{bucket}/{key}", endpoint=endpoint)]
        if listed != [key] or read(f"{SCHEME}{bucket}/{key}", limit=_BLOCK, endpoint=endpoint) != b"1":
            raise StorageError(f"an object just written below {url} is not found again; use another S3 service")
        try:
            client.put_object(Bucket=bucket, Key=key, Body=b"2", IfNoneMatch="*")
        except ClientError as error:
            if _code(error) not in _GONE:
                raise
            return "objects are written, listed, read and deleted, and written once only (If-None-Match)"
        raise StorageError(f"{url} does not know conditional writes (If-None-Match); use an S3 service that does")
    finally:
        with _in_words(f"an object cannot be deleted below {url}", endpoint):
            client.delete_object(Bucket=bucket, Key=key)


def _seconds_for(size: int) -> float:
    return REQUEST_SECONDS + size / MIN_BYTES_PER_SECOND


@functools.cache
def _client_for(endpoint: str | None, environment: tuple[tuple[str, str], ...], process: int) -> Any:  # noqa: ANN401
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=32,
    )
    # A session of its own: boto3's default one may not be used by several threads.
    return boto3.session.Session().client("s3", endpoint_url=endpoint, config=config)


_making_a_client = threading.Lock()


def _client(endpoint: str | None) -> Any:  # noqa: ANN401
    """Return a client for the credentials that are set now; clients may be shared by threads, not by processes."""
    environment = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
    with _making_a_client:
        return _client_for(endpoint, environment, os.getpid())


@contextmanager
def _in_words(what: str, endpoint: str | None) -> Iterator[None]:
    """Raise whatever the SDK raises as one sentence."""
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        code = _code(error)
        if code in _GONE:
            raise ObjectGoneError(f"{what}: it is no longer there as it was listed; run again") from None
        said = one_line(error.response.get("Error", {}).get("Message", ""), 200)
        remedy = _REMEDIES.get(code, "").format(server=server(endpoint))
        kind = MissingBucketError if code == "NoSuchBucket" else StorageError
        raise kind(f"{what}: {remedy or f'S3 answers {code}, {said}'}") from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
        raise StorageError(
            f"{what}: there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        ) from None
    except (exceptions.EndpointConnectionError, exceptions.HTTPClientError):
        raise StorageError(
            f"{what}: {server(endpoint)} does not answer; check the address (AWS_ENDPOINT_URL) and the network"
        ) from None
    except exceptions.BotoCoreError as error:
        raise StorageError(f"{what}: {one_line(error, 300)}") from None
    except TimeoutError as error:
        raise StorageError(f"{what}: {error}; run again when the server or the network is faster") from None
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise StorageError(f"{what}: the disk is full; free some space and run again, what came is kept") from None


def _code(error: Any) -> str:  # noqa: ANN401
    with contextlib.suppress(AttributeError, KeyError, TypeError):
        return str(error.response["Error"]["Code"])
    return "an error without a code"
