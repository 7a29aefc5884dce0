"""Images that people asked to have taken out: who, when and why is kept, and they never come back from their source.

`data/<name>.withdrawn.csv` is a list to be read by people and kept in git, and the mirror of what MLflow keeps
(`withdrawal_ledger`). What is on it is left out of every later version; versions made before still hold it, because a
version never changes.
"""

import csv
import getpass
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from flows.config.settings import Settings
from flows.datasets.git import current_person
from gan_models.data.shard_writer import remove_images
from gan_models.data.shards import iterate_rows, shard_paths
from gan_models.errors import AtelierError
from gan_models.escaping import for_csv, from_csv
from gan_models.files import write_durably
from gan_models.text import one_line

MIN_PREFIX = 8  # characters of an id that a person may give in place of all 64


class RemovalError(AtelierError):
    """A removal that was not begun; the message says what to name instead."""


@dataclass(frozen=True)
class Withdrawal:
    """One line of the list. `id`: SHA-256 of the image's pixels; `source`: where it had come from; `when`: UTC."""

    id: str
    source: str
    when: str
    who: str
    reason: str


def list_path(settings: Settings, name: str) -> Path:
    """Return the path of a dataset's list; there is none before the first removal."""
    return settings.root / "data" / f"{name}.withdrawn.csv"


def withdrawals(settings: Settings, name: str) -> dict[str, Withdrawal]:
    """Return the list of a dataset, by id, in the order of the removals.

    Raises:
        RemovalError: it cannot be read: no version is made then, or what is on it could come back.
    """
    path = list_path(settings, name)
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")), strict=True))
        names = [field.name for field in fields(Withdrawal)]
        return {row["id"]: Withdrawal(**{name: from_csv(row[name] or "") for name in names}) for row in rows}
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise RemovalError(
            f"data/{path.name} is damaged ({error}); restore it with `git checkout data/{path.name}`"
        ) from None


def write_list(settings: Settings, name: str, listed: Mapping[str, Withdrawal]) -> None:
    """Write the list of a dataset, durably."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Withdrawal)], lineterminator="\n")
    writer.writeheader()
    for entry in listed.values():
        writer.writerow({name: for_csv(value) for name, value in asdict(entry).items()})
    path = list_path(settings, name)
    path.parent.mkdir(exist_ok=True)
    write_durably(path, text.getvalue().encode())


def find_images(
    directory: Path | None, listed: Mapping[str, Withdrawal], ids: Sequence[str], sources: Sequence[str]
) -> dict[str, str]:
    """Return id and source of the images in a dataset that are meant: by id, or the beginning of one, or by source.

    A photograph that was cut into tiles is named by its source, which takes out all of them. With one side of a pair
    goes the other. What is on the list already is found there, so that a removal that was cut short can be asked for
    again. Only what is found is held in memory, however many images there are.

    Args:
        directory: of the dataset; None where only the list is meant.

    Raises:
        RemovalError: one of them means no image, or an id more than one.
    """
    for given in ids:
        if len(given) < MIN_PREFIX:
            raise RemovalError(f"the id {given!r} is too short; give {MIN_PREFIX} characters of it at least")
    beginnings = {given.lower(): given for given in ids}
    lengths = sorted({len(beginning) for beginning in beginnings})
    by_id: dict[str, set[str]] = {beginning: set() for beginning in beginnings}
    by_source: dict[str, set[str]] = {source: set() for source in sources}
    found: dict[str, str] = {}
    pairs: set[str] = set()
    for key, source, pair in _keys(directory, listed):
        meant = [by_id[key[:length]] for length in lengths if key[:length] in by_id]
        meant += [by_source[source]] if source in by_source else []
        for group in meant:
            group.add(key)
        if meant:
            found[key] = source
            pairs |= {pair} if pair is not None else set()
    where = "in the dataset" if directory else "on the list"
    for beginning, keys in by_id.items():
        if len(keys) != 1:
            what = f"means {len(keys)} images; give more of it" if keys else f"is of no image {where}"
            raise RemovalError(f"the id {beginnings[beginning]!r} {what}")
    for source, keys in by_source.items():
        if not keys:
            raise RemovalError(f"no image {where} came from {source!r}; {_hint(directory, listed, source)}")
    if pairs:
        found |= {key: source for key, source, pair in _keys(directory, listed) if pair in pairs}
    return found


def decided(settings: Settings, images: Mapping[str, str], *, reason: str, who: str | None) -> dict[str, Withdrawal]:
    """Return lines for images, by id and source, that a person has decided on now.

    Raises:
        RemovalError: there is no reason.
    """
    reason = one_line(reason)
    if not reason:
        raise RemovalError("there has to be a reason that another person understands; give one with --reason")
    when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    by = who or current_person(settings) or getpass.getuser()
    return {key: Withdrawal(key, source, when, by, reason) for key, source in images.items()}


def apply_withdrawals(settings: Settings, name: str, directory: Path) -> set[str]:
    """Take what is on the list out of a dataset's folder, whoever put it on the list, and wherever.

    Returns:
        Ids of the images that were there still.

    Raises:
        RemovalError: the list cannot be read.
        DataError: a shard is damaged, or nothing would be left.
    """
    listed = withdrawals(settings, name)
    return remove_images(directory, listed) if listed and shard_paths(directory) else set()


def _keys(directory: Path | None, listed: Mapping[str, Withdrawal]) -> Iterator[tuple[str, str, str | None]]:
    """Yield id, source and pair of what is on the list, and of every image of a dataset."""
    yield from ((key, entry.source, None) for key, entry in listed.items())
    for row in iterate_rows(directory, ["id", "source", "pair"]) if directory else ():
        yield row["id"], row["source"], row["pair"]


def _hint(directory: Path | None, listed: Mapping[str, Withdrawal], given: str) -> str:
    example = ""
    for _, source, _ in _keys(directory, listed):
        if source.endswith(f"/{given}"):
            return f"did you mean {source!r}?"
        example = example or source
    return f"sources look like {example!r}"
