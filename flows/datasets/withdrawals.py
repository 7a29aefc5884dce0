"""Images that people asked to have taken out: who, when and why is kept, and they never come back from their source.

`data/<name>.withdrawn.csv` is a list to be read by people and kept in git. What is on it is left out of every later
version; versions made before still hold it, because a version never changes.
"""

import csv
import getpass
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from flows.config.settings import Settings
from flows.datasets.dvc import VersioningError
from flows.datasets.versions import git
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
    """The list of a dataset; there is none before the first removal."""
    return settings.root / "data" / f"{name}.withdrawn.csv"


def withdrawals(settings: Settings, name: str) -> dict[str, Withdrawal]:
    """The list of a dataset, by id, in the order of the removals.

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


def find_images(
    directory: Path, listed: Mapping[str, Withdrawal], ids: Sequence[str], sources: Sequence[str]
) -> dict[str, str]:
    """Id and source of the images in a dataset that are meant: by id, or the beginning of one, or by source.

    A photograph that was cut into tiles is named by its source, which takes out all of them. With one side of a pair
    goes the other. What is on the list already is found there, so that a removal that was cut short can be asked for
    again.

    Raises:
        RemovalError: one of them means no image, or an id more than one.
    """
    held = {key: entry.source for key, entry in listed.items()}
    pairs: dict[str, str] = {}
    for row in iterate_rows(directory, ["id", "source", "pair"]):
        held[row["id"]] = row["source"]
        if row["pair"] is not None:
            pairs[row["id"]] = row["pair"]
    found: dict[str, str] = {}
    for given in ids:
        if len(given) < MIN_PREFIX:
            raise RemovalError(f"the id {given!r} is too short; give {MIN_PREFIX} characters of it at least")
        matching = [key for key in held if key.startswith(given.lower())]
        if len(matching) != 1:
            what = f"means {len(matching)} images; give more of it" if matching else "is of no image in the dataset"
            raise RemovalError(f"the id {given!r} {what}")
        found[matching[0]] = held[matching[0]]
    for given in sources:
        matching = [key for key, source in held.items() if source == given]
        if not matching:
            near = next((source for source in held.values() if source.endswith(f"/{given}")), None)
            hint = f"did you mean {near!r}?" if near else f"sources look like {next(iter(held.values()))!r}"
            raise RemovalError(f"no image in the dataset came from {given!r}; {hint}")
        found |= {key: held[key] for key in matching}
    named = {pairs[key] for key in found if key in pairs}
    return found | {key: held[key] for key, pair in pairs.items() if pair in named}


def record_withdrawals(settings: Settings, name: str, images: dict[str, str], *, reason: str, who: str | None) -> None:
    """Put images, by id and source, on the dataset's list, durably. Those that are on it stay as they are.

    Raises:
        RemovalError: there is no reason, or the list cannot be read.
    """
    reason = one_line(reason)
    if not reason:
        raise RemovalError("a removal has a reason that another person understands; give one with --reason")
    listed = withdrawals(settings, name)
    when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    by = who or current_person(settings)
    new = {key: Withdrawal(key, source, when, by, reason) for key, source in images.items() if key not in listed}
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Withdrawal)], lineterminator="\n")
    writer.writeheader()
    for entry in (listed | new).values():
        writer.writerow({name: for_csv(value) for name, value in asdict(entry).items()})
    path = list_path(settings, name)
    path.parent.mkdir(exist_ok=True)
    write_durably(path, text.getvalue().encode())


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


def current_person(settings: Settings) -> str:
    """As git knows them, or else the system."""
    try:
        return f"{git(['config', 'user.name'], settings)} <{git(['config', 'user.email'], settings)}>"
    except VersioningError:
        return getpass.getuser()
