"""Images that a CSV or Parquet table names, by paths or addresses, with their labels."""

from collections.abc import Iterator
from functools import cached_property, partial
from itertools import chain, repeat
from pathlib import Path, PurePosixPath
from typing import Any

import httpx

from flows.sources import s3
from flows.sources.base import SourceError, SourceItem
from flows.sources.files import check_size, file_digest, plain_name, read_file, sha256_of, size_and_version
from flows.sources.sqlite_rows import SortedRows
from gan_models.ingest.decoding import DecodingLimits, UnreadableImageError
from gan_models.text import did_you_mean, one_line

SUFFIXES = (".csv", ".parquet")
ROWS_AT_ONCE = 50_000  # of a table in memory
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
        local = (place for place, _ in self._rows if not _is_address(place))
        return sha256_of(map(file_digest, chain([self._file], (self._file.parent / place for place in local))))

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
    def _rows(self) -> SortedRows:
        """Path or address, and label."""
        rows = SortedRows(self._read_rows(), num_columns=2)
        if not len(rows):
            raise SourceError(f"the table {self.spec!r} has no rows; name an image in each")
        return rows

    def _read_rows(self) -> Iterator[tuple[str, str | None]]:
        try:
            for part in self._read_parts():
                self._check_columns(list(part.columns))
                places = (_text(value) or "" for value in part[self._image_column])
                labels = map(_text, part[self._label_column]) if self._label_column else repeat(None, len(part))
                yield from zip(places, labels, strict=True)
        except SourceError:
            raise
        except Exception as error:  # pandas and pyarrow let through whatever a damaged file leads to
            raise SourceError(
                f"the table {self.spec!r} cannot be read ({one_line(error, 200)}); save it anew as CSV or Parquet"
            ) from None

    def _read_parts(self) -> Iterator[Any]:
        """The table as data frames of a bounded number of rows, at least one."""
        import pandas as pd

        if self._file.suffix.lower() == ".csv":
            yield from pd.read_csv(self._file, dtype=str, keep_default_na=False, chunksize=ROWS_AT_ONCE)
            return
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._file) as file:
            yield file.schema_arrow.empty_table().to_pandas()
            known = [name for name in (self._image_column, self._label_column) if name]
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=known):
                yield batch.to_pandas(types_mapper=pd.ArrowDtype)

    def _check_columns(self, columns: list[str]) -> None:
        for column in (self._image_column, self._label_column):
            if column is not None and column not in columns:
                hint = did_you_mean(column, map(str, columns))
                raise SourceError(f"the table {self.spec!r} has no column {column!r}; {hint}")


def _text(value: Any) -> str | None:  # noqa: ANN401
    import pandas as pd

    return None if pd.isna(value) or str(value) == "" else str(value)


def _is_address(place: str) -> bool:
    return "://" in place


def _read(place: str, folder: Path) -> bytes:
    if not place:
        raise UnreadableImageError("the table names no file in this row")
    if place.startswith(s3.SCHEME):
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
        return s3.read(address, limit=DecodingLimits().max_bytes)
    except s3.StorageError as error:
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
