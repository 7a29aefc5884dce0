"""Images in a zip, a tar or a tar.gz, that may come from anyone.

Nothing is unpacked by name: members are read from the archive itself, and of a tar.gz one plain tar is written. Before
anything is, every member is looked at, and one bad name, link, device or second archive refuses the whole archive.
"""

import functools
import gzip
import re
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import IO, NamedTuple, cast

from flows.sources.base import SourceError, SourceItem
from flows.sources.files import check_size, file_digest, is_ignored, plain_name, sha256_of
from flows.sources.labels import FolderLabels, first_folder, labels_by_folder
from gan_models.files import is_disk_full
from gan_models.ingest.decoding import UnreadableImageError
from gan_models.text import one_line

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_NESTED = (*SUFFIXES, ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tbz2", ".txz")
MAX_RATIO = 100  # unpacked to packed size; photographs hardly shrink, and a bomb has a thousand and more
ALWAYS_ALLOWED = 64 << 20  # bytes that any archive may unpack to
_MAX_HEADER = 4 << 20  # bytes of one extended header of a tar
_END_MARK = b"\0" * 512
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


class Member(NamedTuple):
    """One file of an archive. `place`: its number in a zip, its offset in a tar; `size`: unpacked bytes."""

    name: str
    place: int
    size: int


class ArchiveSource:
    """The files of an archive; the first folder in it is the label, unless everything lies in one folder.

    Args:
        spec: its path, as it stands in the config.
        file: where it is.
        scratch: a folder for what is unpacked of it.
        folders_are_labels: whether the names of its folders say what the images show.
    """

    def __init__(self, spec: str, file: Path, scratch: Path, *, folders_are_labels: bool = True) -> None:
        self.spec = spec
        self._file = file
        self._scratch = scratch
        self._folders_are_labels = folders_are_labels

    @property
    def num_items(self) -> int:
        """Return how many files there are."""
        return len(self._members)

    def fingerprint(self) -> str:
        """Return a SHA-256 of the archive."""
        return sha256_of([self._digest])

    def notes(self) -> tuple[str, ...]:
        """Return which folders are no labels."""
        return self._labels.notes

    def items(self) -> Iterator[SourceItem]:
        """Yield the files, sorted by name."""
        common = self._common_folder
        read = partial(_read_zip if self._is_zip else _read_tar, str(self._plain))
        for member in self._members:
            name = member.name.removeprefix(common)
            yield SourceItem(
                path=name,
                read=partial(read, member.place, member.size),
                label=self._labels.of(name),
                source=self.spec,
                size=member.size,
                version=f"{self._digest}-{member.place}",
            )

    @cached_property
    def _digest(self) -> str:
        return file_digest(self._file)

    @cached_property
    def _common_folder(self) -> str:
        """Return the folder that everything lies in, with a slash; empty where there is none."""
        tops = {member.name.split("/")[0] if "/" in member.name else "" for member in self._members}
        return f"{tops.pop()}/" if len(tops) == 1 else ""

    @cached_property
    def _labels(self) -> FolderLabels:
        if not self._folders_are_labels:
            return FolderLabels()
        names = (member.name.removeprefix(self._common_folder) for member in self._members)
        return labels_by_folder({folder for name in names if (folder := first_folder(name))}, self.spec)

    @cached_property
    def _is_zip(self) -> bool:
        return zipfile.is_zipfile(self._file)

    @cached_property
    def _members(self) -> list[Member]:
        """Return those that may be images, sorted by name.

        Raises:
            SourceError: the archive is damaged, or refused for what one of its members is.
        """
        try:
            members = _zip_members(self._file) if self._is_zip else _tar_members(self._file)
        except _RefusalError as refusal:
            raise SourceError(
                f"the archive {self.spec!r} is refused: {refusal}; nothing of it was written, "
                "make it again from a folder of images alone"
            ) from None
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, zlib.error) as error:
            why = one_line(error)
            raise SourceError(f"the archive {self.spec!r} is damaged ({why}); copy it here again") from None
        if not members:
            raise SourceError(f"the archive {self.spec!r} holds no files; put images into it")
        return sorted(members, key=lambda member: member.name)

    @cached_property
    def _plain(self) -> Path:
        """Return the archive as a file whose members can be read in any order: of a tar.gz, the tar in it."""
        if self._is_zip or not _is_gzip(self._file):
            return self._file
        tar = self._scratch / f"{self._digest}.tar"
        if not tar.exists():
            assert self._members  # nothing is written before all of them were looked at
            self._scratch.mkdir(parents=True, exist_ok=True)
            partial_tar = tar.with_suffix(".partial")
            try:
                with gzip.open(self._file) as packed, partial_tar.open("wb") as file:
                    while block := packed.read(1 << 20):
                        file.write(block)
            except OSError as error:
                partial_tar.unlink(missing_ok=True)
                if not is_disk_full(error):
                    raise
                raise SourceError(
                    f"the disk is too full to unpack {self.spec!r}; free some space and run again"
                ) from None
            partial_tar.rename(tar)
        return tar


class _RefusalError(ValueError):
    """Why an archive is not opened."""


def _zip_members(file: Path) -> list[Member]:
    try:
        opened = zipfile.ZipFile(file)
    except NotImplementedError as error:  # a member asks for a newer version of the format; the file is whole
        raise _RefusalError(f"it takes a newer unpacker than this one ({error})") from None
    with opened as archive:
        infos = archive.infolist()
        for info in infos:
            kind = stat.S_IFMT(info.external_attr >> 16)
            _check_kind(info.orig_filename, stat.S_ISLNK(kind), kind not in (0, stat.S_IFREG, stat.S_IFDIR))
            if info.flag_bits & 1:
                raise _RefusalError(f"{_shown(info.filename)} is encrypted")
            if info.compress_type not in _METHODS:
                raise _RefusalError(f"{_shown(info.filename)} is packed by a method that cannot be unpacked here")
        for one, two in pairwise(sorted(infos, key=lambda info: info.header_offset)):
            if one.header_offset + 30 + one.compress_size > two.header_offset:
                raise _RefusalError(f"{_shown(one.filename)} and {_shown(two.filename)} share bytes, as in a bomb")
        _check_total(sum(info.file_size for info in infos), file.stat().st_size)
        members = [Member(info.orig_filename, number, info.file_size) for number, info in enumerate(infos)]
        return _checked(members, {info.orig_filename for info in infos if info.is_dir()})


def _tar_members(file: Path) -> list[Member]:
    members: list[Member] = []
    folders: set[str] = set()
    with cast(IO[bytes], gzip.open(file) if _is_gzip(file) else file.open("rb")) as stream:
        bounded = _BoundedStream(stream, file.stat().st_size)
        with tarfile.open(fileobj=cast(IO[bytes], bounded), mode="r:") as archive:  # it reads, seeks and tells
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep all of them
                _check_kind(member.name, member.issym() or member.islnk(), not (member.isreg() or member.isdir()))
                if member.issparse() or member.size < 0:
                    raise _RefusalError(f"{_shown(member.name)} is a file with holes")
                members.append(Member(member.name, member.offset_data, member.size))
                if member.isdir():
                    folders.add(member.name)
        if bounded.last != _END_MARK:  # tarfile takes a damaged header for the end
            raise tarfile.ReadError("it ends before its end mark")
    return _checked(members, folders)


def _checked(members: Iterable[Member], folders: set[str]) -> list[Member]:
    """Return the members that are files for people, after a look at the names of all."""
    seen: dict[str, str] = {}
    kept = []
    for member in members:
        _check_name(member.name)
        if member.name in folders:
            continue
        name = plain_name(member.name.removeprefix("./"))
        alike = unicodedata.normalize("NFKC", name).casefold()
        if alike in seen:
            raise _RefusalError(
                f"{_shown(seen[alike])} and {_shown(name)} are one name where upper and lower case are one"
            )
        seen[alike] = name
        if is_ignored(name):
            continue
        if name.lower().endswith(_NESTED):
            raise _RefusalError(f"{_shown(name)} is an archive within the archive")
        kept.append(Member(name, member.place, member.size))
    return kept


def _check_name(name: str) -> None:
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise _RefusalError(f"{_shown(name)} is an absolute path")
    if ".." in re.split(r"[/\\]", name):
        raise _RefusalError(f"{_shown(name)} leads out of the archive")
    if "\\" in name or any(unicodedata.category(sign) in ("Cc", "Cf") for sign in name):
        raise _RefusalError(f"{_shown(name)} has a backslash or control characters in it")
    if len(name.encode("utf-8", "surrogateescape")) > 1024 or any(
        len(part.encode("utf-8", "surrogateescape")) > 255 for part in parts
    ):
        raise _RefusalError(f"{_shown(name)} is too long for a name")


def _check_kind(name: str, is_link: bool, is_special: bool) -> None:
    if is_link:
        raise _RefusalError(f"{_shown(name)} is a link")
    if is_special:
        raise _RefusalError(f"{_shown(name)} is a device, a pipe, or no plain file of any kind")


def _check_total(unpacked: int, packed: int) -> None:
    if unpacked > max(ALWAYS_ALLOWED, MAX_RATIO * packed):
        raise _RefusalError(f"it unpacks to more than {MAX_RATIO} times its {packed:,} bytes, as a bomb does")


def _shown(name: str) -> str:
    return ascii(name) if len(name) <= 80 else f"{name[:60]!a}..."


def _is_gzip(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


class _BoundedStream:
    """A stream for tarfile that ends a bomb while it is unpacked, and remembers what was read last."""

    def __init__(self, stream: IO[bytes], packed: int) -> None:
        self._stream = stream
        self._packed = packed
        self.last = b""

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`."""
        if size > _MAX_HEADER:
            raise _RefusalError(f"one of its headers has {size:,} bytes")
        self.last = self._stream.read(size)
        self._check()
        return self.last

    def seek(self, offset: int) -> int:
        """Go to a place in the unpacked stream, and return it."""
        while (away := offset - self._stream.tell()) > 0:  # in steps, so that a bomb is noticed on the way
            if not self._stream.read(min(away, 1 << 20)):
                raise tarfile.ReadError("it ends within a file")
            self._check()
        return self._stream.seek(offset)

    def tell(self) -> int:
        """Return the place in the unpacked stream."""
        return self._stream.tell()

    def _check(self) -> None:
        _check_total(self._stream.tell(), self._packed)


@functools.lru_cache(maxsize=4)
def _opened_zip(file: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(file)  # may be read by several threads, and stays open for the next member


def _read_zip(file: str, number: int, size: int) -> bytes:
    check_size(size)
    try:
        archive = _opened_zip(file)
        with archive.open(archive.infolist()[number]) as stream:
            return stream.read(size + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise UnreadableImageError(f"the file is damaged within the archive: {one_line(error)}") from error


def _read_tar(file: str, offset: int, size: int) -> bytes:
    check_size(size)
    with Path(file).open("rb") as stream:
        stream.seek(offset)
        return stream.read(size)
