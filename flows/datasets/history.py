"""The history of a dataset: which versions there were, what changed between two, and what one holds."""

import heapq
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.config.settings import Settings
from flows.datasets.dvc_cache import files_of
from flows.datasets.dvc_file import FILE, md5_in
from flows.datasets.errors import VersioningError
from flows.datasets.git import commits_of
from flows.datasets.in_use import find_in_use
from flows.datasets.versions import materialize
from flows.runtime.records import DatasetVersion
from flows.tracking.runs import DATASETS_EXPERIMENT, Tracking
from gan_models.data.shards import read_shard

_COLUMNS = ["id", "split", "label", "domain", "source"]


@dataclass(frozen=True)
class Version:
    """One version. What MLflow or git does not know of it is None.

    when: it was made, in UTC
    record: with its counts, by MLflow
    commit: the first in git that names it
    change: what it was made for, where it was made for a removal
    """

    md5: str
    when: datetime
    record: DatasetVersion | None = None
    commit: str | None = None
    change: str | None = None
    in_use: bool = False

    @property
    def short(self) -> str:
        """Return what a person names it by."""
        return self.md5[:7]


@dataclass(frozen=True)
class Difference:
    """What a version has that an earlier one has not, and the other way round.

    added, removed: by id, the rows of the images, without their pixels
    moved, relabeled: ids of images that are in both, in another split or with another label or domain
    kept_shards, new_shards, gone_shards: names of files; new_bytes: of the files that are new
    """

    before: Version
    after: Version
    counts: tuple[Counter[str], Counter[str]]
    labels: tuple[Counter[str], Counter[str]]
    added: dict[str, dict[str, Any]]
    removed: dict[str, dict[str, Any]]
    moved: tuple[str, ...]
    relabeled: tuple[str, ...]
    kept_shards: tuple[str, ...]
    new_shards: tuple[str, ...]
    gone_shards: tuple[str, ...]
    new_bytes: int
    total_bytes: int


def versions(settings: Settings, tracking: Tracking, name: str) -> list[Version]:
    """Return every version of a dataset that MLflow or git knows, the oldest first.

    In the order in which MLflow came to know them; those that it does not know stand between them by their times.
    """
    found: dict[str, Version] = {}
    for record, when, tags in reversed(tracking.finished(DatasetVersion, DATASETS_EXPERIMENT, "dataset", dataset=name)):
        # A version that was made again, by other code or from other sources, is the same version.
        found.setdefault(record.dvc_md5, Version(record.dvc_md5, when, record, change=tags.get("change")))
    others: dict[str, Version] = {}
    for commit, when, md5 in _in_git(settings, name):
        if md5 in found:
            found[md5] = replace(found[md5], commit=commit)
        else:
            others[md5] = Version(md5, when, commit=commit)
    used = find_in_use(settings, tracking, name).md5
    if used is not None and used not in {**found, **others}:
        made = (settings.root / FILE).stat().st_mtime
        others[used] = Version(used, datetime.fromtimestamp(made, UTC))
    in_order = heapq.merge(found.values(), others.values(), key=lambda version: version.when)
    return [replace(version, in_use=version.md5 == used) for version in in_order]


def choose(known: list[Version], name: str, given: str | None) -> Version:
    """Return the version in use, or the one whose MD5 begins as given.

    Raises:
        VersioningError: there is none, or more than one.
    """
    if not known:
        raise VersioningError(f"the dataset '{name}' has no versions yet; make one with `atelier dataset <config>`")
    if given is None:
        return next((version for version in known if version.in_use), known[-1])
    matching = [version for version in known if version.md5.startswith(given.lower())]
    if len(matching) != 1:
        there_are = ", ".join(version.short for version in known[-8:])
        what = "more than one version of" if matching else "no version of"
        raise VersioningError(f"{given!r} names {what} '{name}'; there are {there_are}")
    return matching[0]


def compare(settings: Settings, name: str, before: Version, after: Version) -> Difference:
    """Return what changed between two versions. Both are fetched where they are not here yet.

    Raises:
        VersioningError: one of them cannot be had.
        DataError: a shard is damaged.
    """
    folders = [materialize(settings, name, version.md5) for version in (before, after)]
    old, new = ({row["id"]: row for row in _rows(folder)} for folder in folders)
    files = [dict(files_of(settings, version.md5)) for version in (before, after)]
    shards = [{path for path in listed if path.endswith(".parquet")} for listed in files]
    changed = [path for path, md5 in files[1].items() if md5 not in files[0].values()]
    facts = ("label", "domain")
    both = [key for key in new if key in old]
    return Difference(
        before=before,
        after=after,
        counts=(Counter(row["split"] for row in old.values()), Counter(row["split"] for row in new.values())),
        labels=(_labels(old), _labels(new)),
        added={key: row for key, row in new.items() if key not in old},
        removed={key: row for key, row in old.items() if key not in new},
        moved=tuple(key for key in both if old[key]["split"] != new[key]["split"]),
        relabeled=tuple(key for key in both if any(old[key][fact] != new[key][fact] for fact in facts)),
        kept_shards=tuple(sorted(shards[0] & shards[1])),
        new_shards=tuple(sorted(shards[1] - shards[0])),
        gone_shards=tuple(sorted(shards[0] - shards[1])),
        new_bytes=sum((folders[1] / path).stat().st_size for path in changed),
        total_bytes=sum((folders[1] / path).stat().st_size for path in files[1]),
    )


def _rows(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob("shard-*.parquet")) for row in read_shard(path, _COLUMNS).to_pylist()]


def _labels(rows: dict[str, dict[str, Any]]) -> Counter[str]:
    return Counter(row["label"] for row in rows.values() if row["label"] is not None)


def _in_git(settings: Settings, name: str) -> list[tuple[str, datetime, str]]:
    """Return commit, time and MD5 of each version of a dataset that git knows, the oldest first; none outside git."""
    found: list[tuple[str, datetime, str]] = []
    for commit, when, content in commits_of(settings, FILE):
        with suppress(ValueError):  # damaged there
            md5 = md5_in(content, name)
            if md5 is not None and md5 not in {known for _, _, known in found}:
                found.append((commit, datetime.fromisoformat(when).astimezone(UTC), md5))
    return found
