"""Images that a CSV or Parquet table names, by paths or addresses, with their labels."""

import difflib
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any

import httpx

from flows import storage
from flows.source_files import check_size, file_digest, plain_name, read_file, sha256_of, size_and_version
from flows.source_item import SourceError, SourceItem
from gan_models.images.decoding import DecodingLimits, UnreadableImageError

SUFFIXES = (".csv", ".parquet")
SECONDS = 60  # that a web server may be silent


class TableSource:
    """The rows of a table. Paths are relative to the table's folder, and may not lead out of it.

    What is behind an address is taken to stay what it is: the fingerprint is of the table and of local files.
    """

    def __init__(self, spec: str, file: Path, image_column: str, label_column: str | None) -> None:
        self.spec = spec
        self._file = file
        self._image_column = image_column
        self._label_column = label_column

    @property
    def num_items(self) -> int:
        return len(self._rows)

    def fingerprint(self) -> str:
        local = [place for place, _ in self._rows if not _is_address(place)]
        return sha256_of([file_digest(self._file), *(file_digest(self._file.parent / place) for place in local)])

    def items(self) -> Iterator[SourceItem]:
        for place, label in self._rows:
            size, version = (0, place) if _is_address(place) else size_and_version(self._file.parent / place)
            yield SourceItem(
                path=plain_name(place),
                read=partial(_read, place, self._file.parent),
                label=label,
                source=self.spec,
                size=size,
                version=version,
            )

    @cached_property
    def _rows(self) -> list[tuple[str, str | None]]:
        """Path or address, and label, sorted."""
        table = self._read_table()
        for column in (self._image_column, self._label_column):
            if column is not None and column not in table.columns:
                near = difflib.get_close_matches(column, list(table.columns), n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(map(str, table.columns))}"
                raise SourceError(f"the table {self.spec!r} has no column {column!r}; {hint}")
        if table.empty:
            raise SourceError(f"the table {self.spec!r} has no rows; name an image in each")
        places = [_text(value) or "" for value in table[self._image_column]]
        labels = [_text(value) for value in table[self._label_column]] if self._label_column else [None] * len(places)
        return sorted(zip(places, labels, strict=True), key=lambda row: (row[0], row[1] or ""))

    def _read_table(self) -> Any:  # noqa: ANN401
        import pandas as pd

        try:
            if self._file.suffix.lower() == ".csv":
                return pd.read_csv(self._file, dtype=str, keep_default_na=False)
            return pd.read_parquet(self._file, dtype_backend="pyarrow")
        except Exception as error:  # pandas and pyarrow let through whatever a damaged file leads to
            why = " ".join(str(error).split())[:200]
            raise SourceError(
                f"the table {self.spec!r} cannot be read ({why}); save it anew as CSV or Parquet"
            ) from None


def _text(value: Any) -> str | None:  # noqa: ANN401
    import pandas as pd

    return None if pd.isna(value) or str(value) == "" else str(value)


def _is_address(place: str) -> bool:
    return "://" in place


def _read(place: str, folder: Path) -> bytes:
    if not place:
        raise UnreadableImageError("the table names no file in this row")
    if place.startswith(storage.SCHEME):
        return _from_s3(place)
    if place.startswith(("http://", "https://")):
        return _from_web(place)
    if _is_address(place):
        raise UnreadableImageError("the address is none of s3://, http:// and https://")
    path = folder / place
    if PurePosixPath(place).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise UnreadableImageError("the path leads out of the table's folder")
    return read_file(path)


def _from_s3(address: str) -> bytes:
    try:
        return storage.read(address, limit=DecodingLimits().max_bytes)
    except storage.StorageError as error:
        raise UnreadableImageError(str(error)) from None


def _from_web(address: str) -> bytes:
    data = bytearray()
    try:
        with httpx.stream("GET", address, timeout=SECONDS, follow_redirects=True) as answer:
            answer.raise_for_status()
            for block in answer.iter_bytes():
                data += block
                check_size(len(data))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = getattr(getattr(error, "response", None), "status_code", None)
        why = f"it answers {said}" if said else f"it does not answer ({type(error).__name__})"
        raise UnreadableImageError(f"the address cannot be read: {why}") from None
    return bytes(data)
