"""Two folders of pictures that belong together, one to one: what pix2pix learns from."""

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import PurePosixPath

from flows.sources.base import Source, SourceItem
from flows.sources.files import sha256_of
from flows.sources.sqlite_rows import SortedRows


class PairedSource:
    """The files of a source whose sub-folders are the sides of pairs; files of one name belong together.

    In the dataset each side is a domain, and both rows carry the same `pair`. A file without a partner, or outside the
    two folders, is yielded on its own, and set aside with that reason.

    Args:
        source: of the files of both folders.
        sides: the folder of each domain.
        masks: the domain, if any, whose files say in each pixel what their partners show.
    """

    def __init__(self, source: Source, sides: Mapping[str, str], masks: str | None = None) -> None:
        self.spec = source.spec
        self._source = source
        self._domains = {folder.strip("/"): domain for domain, folder in sides.items()}
        self._masks = masks

    @property
    def num_items(self) -> int:
        """Return how many files there are."""
        return self._source.num_items

    def fingerprint(self) -> str:
        """Return a SHA-256 of the source and of which folder is which side."""
        return sha256_of([self._source.fingerprint(), self._domains, *([self._masks] if self._masks else [])])

    def notes(self) -> tuple[str, ...]:
        """Return those of the source."""
        return self._source.notes()

    def items(self) -> Iterator[SourceItem]:
        """Yield the files, those of a pair one after the other."""
        for name, _, _, folder, item in self._items:
            domain = self._domains.get(folder)
            is_mask = domain is not None and domain == self._masks
            yield replace(pickle.loads(item), label=None, pair=name, domain=domain, is_mask=is_mask)

    @cached_property
    def _items(self) -> SortedRows:
        """Return what the files of a pair are called, which side each is, its path, its folder, and the file."""
        order = list(self._domains)
        sides = ((*self._side(item), item) for item in self._source.items())
        return SortedRows(
            (
                (name, order.index(folder) if folder else -1, item.path, folder, pickle.dumps(item))
                for folder, name, item in sides
            ),
            num_columns=5,
        )

    def _side(self, item: SourceItem) -> tuple[str, str]:
        """Return the folder of a file, and what its partner is called as well."""
        for folder in self._domains:
            if item.path.startswith(f"{folder}/"):
                return folder, PurePosixPath(item.path.removeprefix(f"{folder}/")).with_suffix("").as_posix()
        return "", f"/{item.path}"
