"""Images that a CSV or Parquet table names, by paths or addresses, with their labels."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property, partial
from itertools import chain, repeat
from pathlib import Path, PurePosixPath
from typing import Any

from flows.config.dataset_section import SourceConfig
from flows.sources import s3, web
from flows.sources.base import SourceError, SourceItem
from flows.sources.deadline import Deadline
from flows.sources.files import file_digest, plain_name, read_file, sha256_of, size_and_version
from flows.sources.labels import label_text
from flows.sources.sqlite_rows import SortedRows
from gan_models.ingest.decoding import DecodingLimits, UnreadableImageError
from gan_models.text import did_you_mean, one_line

SUFFIXES = (".csv", ".parquet")
ROWS_AT_ONCE = 50_000  # of a table in memory
_WINDOWS_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")


class TableSource:
    """The rows of a table. Paths are relative to the table's folder, and may not lead out of it.

    What is behind an address is taken to stay what it is: the fingerprint is of the table and of local files.

    Args:
        config: what the config says of the source: its columns, and what its addresses may do.
        file: where it is.
    """

    def __init__(self, config: SourceConfig, file: Path) -> None:
        self.spec = config.path
        self._config = config
        self._file = file
        self._changed: Counter[str] = Counter()

    @property
    def num_items(self) -> int:
        """Return how many rows there are."""
        return len(self._rows)

    def fingerprint(self) -> str:
        """Return a SHA-256 of the table and of the files on this machine that it names."""
        local = (place for place, _ in self._rows if not _is_address(place))
        return sha256_of(map(file_digest, chain([self._file], (self._file.parent / place for place in local))))

    def notes(self) -> tuple[str, ...]:
        """Return in how many rows a path or a label was taken otherwise than it is written."""
        return tuple(f"in {count:,} rows of {self.spec!r} {what}" for what, count in sorted(self._changed.items()))

    def items(self) -> Iterator[SourceItem]:
        """Yield the files of the rows, sorted by path or address."""
        limits = web.WebLimits(self._config.hosts, Deadline.after(self._config.max_hours))
        for place, label in self._rows:
            size, version = (0, place) if _is_address(place) else size_and_version(self._file.parent / place)
            yield SourceItem(
                path=plain_name(place),
                read=partial(_read, place, self._file.parent, limits),
                label=label,
                source=self.spec,
                size=size,
                version=version,
            )

    @cached_property
    def _rows(self) -> SortedRows:
        """Return path or address, and label."""
        rows = SortedRows(self._read_rows(), num_columns=2)
        if not len(rows):
            raise SourceError(f"the table {self.spec!r} has no rows; name an image in each")
        return rows

    def _read_rows(self) -> Iterator[tuple[str, str | None]]:
        image_column, label_column = self._config.image_column, self._config.label_column
        try:
            for part in self._read_parts():
                self._check_columns(list(part.columns))
                places = map(self._place, part[image_column])
                labels = map(self._label, part[label_column]) if label_column else repeat(None, len(part))
                yield from zip(places, labels, strict=True)
        except SourceError:
            raise
        except Exception as error:  # pandas and pyarrow let through whatever a damaged file leads to
            raise SourceError(
                f"the table {self.spec!r} cannot be read ({one_line(error, 200)}); save it again as CSV or Parquet"
            ) from None

    def _read_parts(self) -> Iterator[Any]:
        """Yield the table as data frames of a bounded number of rows, at least one."""
        import pandas as pd

        if self._file.suffix.lower() == ".csv":
            yield from pd.read_csv(self._file, dtype=str, keep_default_na=False, chunksize=ROWS_AT_ONCE)
            return
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._file) as file:
            yield file.schema_arrow.empty_table().to_pandas()
            known = [name for name in (self._config.image_column, self._config.label_column) if name]
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=known):
                yield batch.to_pandas(types_mapper=pd.ArrowDtype)

    def _check_columns(self, columns: list[str]) -> None:
        for column in (self._config.image_column, self._config.label_column):
            if column is not None and column not in columns:
                hint = did_you_mean(column, map(str, columns))
                raise SourceError(f"the table {self.spec!r} has no column {column!r}; {hint}")

    def _place(self, value: Any) -> str:  # noqa: ANN401
        """Return the path or address in a cell; backslashes become slashes, unless there is a file so named."""
        place = self._text(value, self._config.image_column) or ""
        if "\\" not in place or _is_address(place) or _WINDOWS_DRIVE.match(place):
            return place
        if (self._file.parent / place).exists():
            return place
        self._changed["the path has backslashes, which are read as slashes"] += 1
        return place.replace("\\", "/")

    def _label(self, value: Any) -> str | None:  # noqa: ANN401
        """Return the label in a cell: text without spaces around it, or a whole number."""
        if isinstance(value, float) and value.is_integer():
            self._changed["the label is a number with a point, which is read as a whole one"] += 1
            value = int(value)
        text = self._text(value, self._config.label_column or "")
        label = label_text(text) if text else None
        if label != text:
            self._changed["the label has spaces around it, which are left out"] += 1
        return label

    def _text(self, value: Any, column: str) -> str | None:  # noqa: ANN401
        """Return the text in a cell, None where it is empty.

        Raises:
            SourceError: it holds bytes that are no text, or more than one value.
        """
        import pandas as pd

        if isinstance(value, bytes):
            try:
                return value.decode() or None
            except UnicodeDecodeError:
                raise SourceError(
                    f"the column {column!r} of {self.spec!r} holds bytes that are no UTF-8, such as {value[:20]!r}; "
                    "write text or whole numbers there"
                ) from None
        if not pd.api.types.is_scalar(value):
            raise SourceError(
                f"the column {column!r} of {self.spec!r} holds a {type(value).__name__} in a row; "
                "write text or whole numbers there"
            )
        return None if pd.isna(value) else str(value) or None


def _is_address(place: str) -> bool:
    return "://" in place


def _read(place: str, folder: Path, limits: web.WebLimits) -> bytes:
    if not place:
        raise UnreadableImageError("the table names no file in this row")
    if place.startswith(s3.SCHEME):
        return _from_s3(place)
    if place.startswith(web.SCHEMES):
        return web.read(place, limits)
    if _is_address(place):
        raise UnreadableImageError("the address is none of s3://, http:// and https://")
    if _WINDOWS_DRIVE.match(place):
        raise UnreadableImageError("the path is one of Windows, with a drive; write it relative to the table's folder")
    path = folder / place
    if PurePosixPath(place).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise UnreadableImageError("the path leads out of the table's folder")
    return read_file(path)


def _from_s3(address: str) -> bytes:
    try:
        return s3.read(address, limit=DecodingLimits().max_bytes)
    except s3.StorageError as error:
        raise UnreadableImageError(str(error)) from None
