"""From sources to a dataset: examine, quarantine, drop duplicates, split, check, and write shards."""

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from flows.config.dataset_section import DriftLimits, Expectations
from flows.datasets.expectations import DatasetRefusedError as DatasetRefusedError
from flows.datasets.expectations import check_dataset, check_drift, check_shrink
from flows.datasets.file_cache import FileCache
from flows.datasets.ingest_session import IngestSession
from flows.datasets.near_duplicates import Candidate, NearDuplicate, confirm, nearest
from flows.datasets.quarantine import Quarantine, QuarantinedFile
from flows.runtime.code_digest import code_digest
from flows.sources.base import Source, SourceItem
from gan_models.data.image_row import COLUMNS, ImageRow
from gan_models.data.shard_writer import write_shards
from gan_models.data.shards import content_digest, iterate_rows, natural_order, shard_paths, statistics
from gan_models.files import is_disk_full
from gan_models.ingest.decode_pool import DecodingWorkers
from gan_models.ingest.decoding import DecodingLimits
from gan_models.ingest.drift import Drift, drift
from gan_models.ingest.file_check import Demands, Examined

Recall = Callable[[SourceItem], Examined | None]
Examine = Callable[[Iterable[SourceItem], Demands, Recall], Iterator[Examined]]


@dataclass(frozen=True)
class BuildReport:
    """What a build found and did.

    num_items: files in the sources
    num_new, num_known: images (tiles, where there are tiles) added now, and those that were in the dataset already
    num_duplicates: files, or tiles, left out because their pixels had come before
    num_remembered: files that were taken before, unchanged, and were not read again
    splits: images per split in the dataset as it is now, earlier ones included
    labels: images per label, in all splits
    near_duplicates: across the splits, the nearest first
    compared_all: whether every pair that might be one was compared
    drift: of the images added, against those that were there; None where either are too few
    notes: what a person should know of how the sources were read
    """

    num_items: int
    num_new: int
    num_known: int
    num_duplicates: int
    num_remembered: int
    quarantined: tuple[QuarantinedFile, ...]
    splits: dict[str, int]
    labels: dict[str, int]
    near_duplicates: tuple[NearDuplicate, ...]
    drift: Drift | None
    content_digest: str
    notes: tuple[str, ...] = ()
    compared_all: bool = True

    def figures(self) -> dict[str, float]:
        """Return what there is to be plotted over the versions, by name."""
        counts = {
            "images/new": self.num_new,
            "images/quarantined": len(self.quarantined),
            "images/duplicates": self.num_duplicates,
            "images/near_duplicates_across_splits": len(self.near_duplicates),
        }
        drifted = self.drift.as_dict() if self.drift else {}
        return {name: float(value) for name, value in counts.items()} | {
            f"drift/{name}": value for name, value in drifted.items()
        }

    def in_words(self) -> str:
        """Return one line for a person."""
        parts = [f"{self.num_items:,} files, {self.num_new:,} new images"]
        if self.num_remembered:
            parts.append(f"{self.num_remembered:,} files taken before")
        if self.num_duplicates:
            parts.append(f"{self.num_duplicates:,} duplicates left out")
        if self.quarantined:
            parts.append(f"{len(self.quarantined):,} quarantined")
        if self.near_duplicates:
            more = "" if self.compared_all else " or more"
            parts.append(f"{len(self.near_duplicates):,}{more} pairs almost the same across the splits")
        if self.drift:
            parts.append("drift " + ", ".join(f"{name} {value:.2f}" for name, value in self.drift.as_dict().items()))
        return "; ".join((*parts, *self.notes))


def examine_here(items: Iterable[SourceItem], demands: Demands, recall: Recall) -> Iterator[Examined]:
    """Yield what becomes of each file, decoded by worker processes of this machine."""
    with DecodingWorkers(demands) as workers:
        yield from workers.examine(items, recall)


def build_dataset(
    sources: Sequence[Source],
    directory: Path,
    *,
    evaluation_share: float,
    tile: int | None = None,
    max_tiles_per_image: int = 40,
    max_quarantined_share: float = 0.05,
    min_side: int = 8,
    expect: Expectations | dict[str, Any] | None = None,
    max_drift: DriftLimits | dict[str, Any] | None = None,
    quarantine: Path,
    withdrawn: Mapping[str, str] | None = None,
    num_before: int = 0,
    max_shrink: float = 1.0,
    file_cache: Path | None = None,
    examine: Examine = examine_here,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> BuildReport:
    """Add what is new in `sources` to the dataset in `directory`, which stays as it was where this raises.

    Files that cannot be used are copied to `quarantine`, with their reasons in `quarantine.csv`. A file with the pixels
    of an earlier one is left out; with another label or domain than that one, it is quarantined. With `tile`, each
    photograph is cut into tiles of that many pixels, all of them in the photograph's split, unless its source splits by
    tile. A tile with the pixels of an earlier one is left out. The two sides of a pair share a split, and where one of
    them cannot be used neither is. The same sources make the same files, whoever examines them.

    Args:
        sources, directory: from where, and to where.
        evaluation_share, tile, max_tiles_per_image, max_quarantined_share, min_side, expect, max_drift: of the config.
        quarantine: the folder for files that are not used.
        withdrawn: ids of images that are left out wherever they come from, with the sources they had.
        num_before, max_shrink: images of the last version, and the share of that number which may be gone.
        file_cache: where it is remembered what became of files; without it every file is read.
        examine: decodes files, in their order; here, or on a cluster.
        on_progress: called with how many files are done, and of how many.

    Raises:
        DatasetRefusedError: too much is quarantined; only some images of a domain have labels; a split of a domain
            would be empty; what the config expects does not hold; the disk is full.
        DataError: an existing shard is damaged.
    """
    if not 0 < evaluation_share < 1:
        raise DatasetRefusedError(f"evaluation_share is {evaluation_share}; it has to lie between 0 and 1")
    expected, allowed = Expectations.model_validate(expect or {}), DriftLimits.model_validate(max_drift or {})
    demands = Demands(DecodingLimits(min_side=max(min_side, tile or 0)), tile, max_tiles_per_image)
    aside = Quarantine(quarantine)
    memory = FileCache(file_cache, demands, code_digest("gan_models.ingest.decode_worker"), quarantine)
    session = IngestSession(evaluation_share, tile is not None, expected, aside, memory, withdrawn or {})
    total = sum(source.num_items for source in sources)
    drifted: Drift | None = None
    candidates: list[Candidate] = []
    are_all = True

    def records() -> Iterator[ImageRow]:
        nonlocal drifted, candidates, are_all
        for group in _examined(sources, demands, examine, session, total, on_progress):
            yield from session.records_of(group)
        aside.write_list()
        check_dataset(session, total, max_quarantined_share, expected)
        check_shrink(sum(session.splits.values()), num_before, max_shrink)
        drifted = drift(session.before, session.added)
        check_drift(drifted, allowed)
        candidates, are_all = nearest(session.near_duplicates())

    try:
        if shard_paths(directory):
            session.know(iterate_rows(directory, list(COLUMNS)))
        write_shards(records(), directory)
        alike = confirm(candidates, directory, are_all=are_all)
    except (OSError, sqlite3.OperationalError) as error:
        if not is_disk_full(error):
            raise
        raise DatasetRefusedError(
            f"the disk of {directory.parent} is full; the dataset is as it was: free some space and run again"
        ) from None
    finally:
        memory.close()
        session.index.close()
    return BuildReport(
        num_items=total,
        num_new=session.num_new,
        num_known=session.num_known,
        num_duplicates=session.num_duplicates,
        num_remembered=session.num_remembered,
        quarantined=tuple(aside.files),
        splits=statistics(directory).splits,
        labels={name: session.labels[name] for name in natural_order(filter(None, session.labels))},
        near_duplicates=alike.pairs,
        compared_all=alike.is_complete,
        drift=drifted,
        content_digest=content_digest(directory),
        notes=tuple(note for source in sources for note in source.notes()),
    )


def _examined(
    sources: Sequence[Source],
    demands: Demands,
    examine: Examine,
    session: IngestSession,
    total: int,
    on_progress: Callable[[int, int | None], None] | None,
) -> Iterator[list[tuple[SourceItem, Examined]]]:
    """Yield the files with what became of them: both sides of a pair together, all others alone."""
    under_way: deque[SourceItem] = deque()

    def items() -> Iterator[SourceItem]:
        for source in sources:
            for item in source.items():
                under_way.append(item)
                yield item

    def one_by_one() -> Iterator[tuple[SourceItem, Examined]]:
        for done, examined in enumerate(examine(items(), demands, session.recall), start=1):
            yield under_way.popleft(), examined
            if on_progress:
                on_progress(done, total)

    def thing(entry: tuple[int, tuple[SourceItem, Examined]]) -> object:
        number, (item, _) = entry
        return number if item.pair is None else (item.source, item.pair)

    for _, group in groupby(enumerate(one_by_one()), key=thing):
        yield [entry for _, entry in group]
