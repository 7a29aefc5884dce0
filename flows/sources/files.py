"""What sources do with files: read one within limits, tell whether it changed, name it the same on every system."""

import hashlib
import json
import os
import stat
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from gan_models.ingest.decoding import DecodingLimits, UnreadableImageError

# What Windows, macOS, Synology and Linux leave in folders, archives and buckets, in lower case; none of it is an image
# of the user's. Names that begin with a dot are hidden everywhere and need not be listed.
_LITTER = frozenset(
    (
        *("thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
        *("$recycle.bin", "system volume information", "autorun.inf"),
        *("__macosx", "icon\r", "network trash folder", "temporary items"),
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "lost+found"),
    )
)


def read_file(path: Path) -> bytes:
    """Return a file's bytes, unless it is one that no image is kept in or that is too large to be tried.

    Raises:
        UnreadableImageError: it cannot be had.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableImageError("the file is not a regular one but a pipe, socket or device")
        check_size(found.st_size)
        return path.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and path.is_symlink():
            raise UnreadableImageError(f"the file is a link to {path.readlink()}, and nothing is there") from None
        raise UnreadableImageError(f"the file cannot be read: {error.strerror}") from error


def check_size(num_bytes: int) -> None:
    """Raise an UnreadableImageError for more bytes than an image may have."""
    limit = DecodingLimits().max_bytes
    if num_bytes > limit:
        raise UnreadableImageError(f"the file has {num_bytes:,} bytes, more than the limit of {limit:,}")


def size_and_version(path: Path) -> tuple[int, str | None]:
    """Return a file's size in bytes, and what changes when it is written; 0 and None for what is no regular file.

    The time of the last change of status is part of it, which no ordinary program can set back.
    """
    try:
        found = path.stat()
    except OSError:
        return 0, None
    if not stat.S_ISREG(found.st_mode):
        return 0, None
    return found.st_size, f"{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}-{found.st_ino}"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, or why there is none."""
    try:
        if not path.is_file():
            return "not a regular file"
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def sha256_of(facts: Iterable[object]) -> str:
    """Return the SHA-256 of what JSON can say, one after the other, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for fact in facts:
        digest.update(json.dumps(fact).encode() + b"\n")
    return digest.hexdigest()


def plain_name(name: str) -> str:
    """Return a path as it is stored: composed Unicode, and bytes that are none replaced."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "replace"))


def is_ignored(name: str) -> bool:
    """Return whether a part of a path is hidden or is known litter: `.git`, `__MACOSX`, `Thumbs.db`."""
    return any(part.startswith(".") or part.casefold() in _LITTER for part in name.split("/"))
