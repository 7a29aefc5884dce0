"""Images in a folder. Links in it are followed, each real folder once."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

from flows.sources.base import SourceError, SourceItem
from flows.sources.files import file_digest, is_ignored, plain_name, read_file, sha256_of, size_and_version
from flows.sources.labels import FolderLabels, first_folder, labels_by_folder
from flows.sources.sqlite_rows import SortedRows

_FolderId = tuple[int, int]  # device and inode


class FolderSource:
    """The files in a folder, as they are listed when it is opened.

    Args:
        spec: its name in the config.
        folder: where it is.
        folders_are_labels: whether the names of its sub-folders say what the images show.

    Raises:
        SourceError: it holds no files, or a folder in it cannot be read.
    """

    def __init__(self, spec: str, folder: Path, *, folders_are_labels: bool = True) -> None:
        self.spec = spec
        self._folder = folder
        walk = _Walk(folder, spec)
        tops: set[str] = set()

        def names() -> Iterator[tuple[bytes]]:
            for name in walk.files():
                top = first_folder(plain_name(name))
                if top is not None:
                    tops.add(top)
                yield (os.fsencode(name),)  # as bytes, because a name on the disk need not be text

        self._names = SortedRows(names(), num_columns=1)
        self.num_items = len(self._names)
        if not self.num_items:
            raise SourceError(f"the folder {spec!r} holds no files; put images into it, labeled ones in sub-folders")
        self._labels = labels_by_folder(tops, spec) if folders_are_labels else FolderLabels()
        self._notes = (*walk.notes(), *self._labels.notes)

    def fingerprint(self) -> str:
        """Return a SHA-256 of the names and contents of the files."""
        return sha256_of([name, file_digest(path)] for name, path in self._files())

    def notes(self) -> tuple[str, ...]:
        """Return which links were followed and which were not, and which folders are no labels."""
        return self._notes

    def items(self) -> Iterator[SourceItem]:
        """Yield the files, sorted by path."""
        for name, path in self._files():
            size, version = size_and_version(path)
            yield SourceItem(
                path=name,
                read=partial(read_file, path),
                label=self._labels.of(name),
                source=self.spec,
                size=size,
                version=version,
            )

    def _files(self) -> Iterator[tuple[str, Path]]:
        """Yield each file's name within the folder, the same on every system, and its path."""
        for (name,) in self._names:
            relative = os.fsdecode(name)
            yield plain_name(relative), self._folder / relative


class _Walk:
    """One pass over a folder: first what is in it, then what its links lead to. No real folder is entered twice."""

    def __init__(self, folder: Path, spec: str) -> None:
        self._folder = folder
        self._spec = spec
        self._entered: set[_FolderId] = set()
        self._links: list[str] = []
        self._followed: dict[str, int] = {}
        self._left: list[str] = []

    def files(self) -> Iterator[str]:
        """Yield the paths of the files within the folder, links to folders followed.

        Raises:
            SourceError: a folder cannot be read.
        """
        yield from self._below("")
        try:
            above = {_identity(parent) for parent in self._folder.resolve().parents}
            while self._links:
                self._links.sort()
                link = self._links.pop(0)
                found = _identity(self._folder / link)
                if found in above or found in self._entered:
                    self._left.append(link)
                    continue
                self._followed[link] = 0
                for name in self._below(link):
                    self._followed[link] += 1
                    yield name
        except OSError as error:
            self._refuse(error)

    def notes(self) -> tuple[str, ...]:
        """Return which links to folders were followed, and which were not."""
        notes = []
        if self._followed:
            total = sum(self._followed.values())
            notes.append(f"{total:,} files of {self._spec!r} are behind links to folders: {_listed(self._followed)}")
        if self._left:
            notes.append(
                f"links of {self._spec!r} to folders that hold it or were read already are not followed: "
                f"{_listed(self._left)}"
            )
        return tuple(notes)

    def _below(self, top: str) -> Iterator[str]:
        for parent, folders, files in os.walk(self._folder / top, onerror=self._refuse):
            self._entered.add(_identity(Path(parent)))
            shown = [name for name in folders if not is_ignored(name)]
            links = {name for name in shown if Path(parent, name).is_symlink()}
            folders[:] = [
                name for name in shown if name not in links and _identity(Path(parent, name)) not in self._entered
            ]
            within = Path(parent).relative_to(self._folder).as_posix()
            prefix = "" if within == "." else f"{within}/"
            self._links += [prefix + name for name in links]
            yield from (prefix + name for name in files if not is_ignored(name))

    def _refuse(self, error: OSError) -> NoReturn:
        raise SourceError(f"the folder {self._spec!r} cannot be read: {error.strerror}: {error.filename}") from error


def _identity(folder: Path) -> _FolderId:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _listed(names: "list[str] | dict[str, int]", most: int = 5) -> str:
    shown = [plain_name(name) for name in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
