"""What a build keeps of the files it is shown: which images are new, in which split they belong, what is set aside."""

import hashlib
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flows.config.dataset_section import Expectations
from flows.datasets.file_cache import FileCache
from flows.datasets.image_index import Facts, ImageIndex
from flows.datasets.near_duplicates import Candidate, HashedImage
from flows.datasets.quarantine import Quarantine
from flows.sources.base import SourceItem
from gan_models.data.image_row import ImageRow
from gan_models.data.shards import Split, split_of
from gan_models.ingest.decoding import UnreadableImageError
from gan_models.ingest.drift import Profile
from gan_models.ingest.file_check import Examined, Piece
from gan_models.ingest.perceptual_hash import near_duplicates


class _Either(Container[str]):
    """The ids in either of two."""

    def __init__(self, one: Container[str], other: Container[str]) -> None:
        self._one, self._other = one, other

    def __contains__(self, key: object) -> bool:
        return key in self._one or key in self._other


@dataclass
class IngestSession:
    """One build under way: its settings, and what it has seen so far.

    splits: images by domain and split; unlabeled: by domain; both of the dataset as it will be
    withdrawn: ids of images that people asked to have taken out, with their sources
    before, added: the profiles of the images that were there and of those that are new
    """

    evaluation_share: float
    tiled: bool
    expect: Expectations
    quarantine: Quarantine
    file_cache: FileCache
    withdrawn: Mapping[str, str] = field(default_factory=dict)
    num_new: int = 0
    num_known: int = 0
    num_duplicates: int = 0
    num_remembered: int = 0
    splits: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    unlabeled: Counter[str | None] = field(default_factory=Counter)
    before: Profile = field(default_factory=Profile)
    added: Profile = field(default_factory=Profile)
    index: ImageIndex = field(default_factory=ImageIndex)

    @property
    def labels(self) -> Counter[str | None]:
        """Return the number of images by label, in the dataset as it will be."""
        return self.before.labels + self.added.labels

    def know(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take in the rows of the dataset as it is."""
        for row in rows:
            self.index.hold(row)
            self._count(row["split"], Facts(row["label"], row["domain"]), row["phash"], row["source"])
            self.before.add(row["look"], row["label"])

    def recall(self, item: SourceItem) -> Examined | None:
        """Return what became of a file on an earlier day, where it need not be read again."""
        examined = self.file_cache.recall(item, _Either(self.index, self.withdrawn))
        self.num_remembered += examined is not None
        return examined

    def records_of(self, group: list[tuple[SourceItem, Examined]]) -> Iterator[ImageRow]:
        """Yield the rows that one file becomes, or two files of a pair; none where they are known or quarantined."""
        group = _with_masks_by_partner(group)
        if any(self._is_withdrawn(item, examined) for item, examined in group):
            return
        if group[0][0].pair is not None:
            yield from self._pair(group)
        else:
            ((item, examined),) = group
            yield from self._single(item, examined)

    def near_duplicates(self) -> Iterator[Candidate]:
        """Yield pairs of images in different splits whose perceptual hashes are near."""
        (train, train_numbers), (evaluation, evaluation_numbers) = map(self.index.hashes, ("train", "evaluation"))
        source = self.index.source
        for pair in near_duplicates(train, evaluation):
            one = HashedImage(source(train_numbers[pair.first]), f"{int(train[pair.first]):016x}")
            two = HashedImage(source(evaluation_numbers[pair.second]), f"{int(evaluation[pair.second]):016x}")
            yield Candidate(pair.distance, one, two)

    def _is_withdrawn(self, item: SourceItem, examined: Examined) -> bool:
        """Return whether people took it out: by its pixels, and of what is cut into tiles also by its source.

        Cut otherwise, it has other tiles.
        """
        if examined.id in self.withdrawn or any(piece.id in self.withdrawn for piece in examined.pieces):
            return True
        return self.tiled and _source(item) in self.withdrawn.values()

    def _single(self, item: SourceItem, examined: Examined) -> Iterator[ImageRow]:
        facts, source = Facts(item.label, item.domain), _source(item)
        seen = self.index.seen(examined.id)
        if not self._usable(item, examined, facts, seen):
            return
        if seen:
            self.num_duplicates += 1
            return
        self.index.see(examined.id, source, facts)
        split = split_of(examined.id, self.evaluation_share)
        if self.tiled:
            split = self.index.split_of(source) or split  # further tiles follow those that are in the dataset
        for piece in examined.pieces:
            if piece.corner is not None:
                if piece.id != examined.id and self.index.seen(piece.id):
                    self.num_duplicates += 1
                    continue
                self.index.see(piece.id, source, facts)
            own = split_of(piece.id, self.evaluation_share) if item.split_by == "tile" else split
            yield from self._record(item, piece, own, facts)

    def _pair(self, group: list[tuple[SourceItem, Examined]]) -> Iterator[ImageRow]:
        """Yield both sides, in one split and with one key, or neither."""
        fault = self._fault_of_pair(group)
        usable = [
            self._usable(item, examined, Facts(item.label, item.domain), self.index.seen(examined.id), fault)
            for item, examined in group
        ]
        if not all(usable):
            return
        (first, examined), (second, other) = group
        split = self.index.split_of(_source(first)) or split_of(examined.id, self.evaluation_share)
        for one, two in zip(examined.pieces, other.pieces, strict=True):
            known = (one.id in self.index) + (two.id in self.index)
            if known == 2:
                self.num_known += 2
            elif known or one.id == two.id or self.index.seen(one.id) or self.index.seen(two.id):
                self.num_duplicates += 2  # an image has one partner: of the same sky twice, the first pair is kept
            else:
                own = split_of(one.id, self.evaluation_share) if first.split_by == "tile" else split
                for item, piece in ((first, one), (second, two)):
                    facts = Facts(item.label, item.domain)
                    self.index.see(piece.id, _source(item), facts)
                    yield from self._record(item, piece, own, facts, pair=one.id)

    def _fault_of_pair(self, group: list[tuple[SourceItem, Examined]]) -> str:
        """Return why a pair is none, or cannot be used, for those of its sides that have no fault of their own."""
        if len(group) == 1:
            return "the other side of its pair is missing"
        if len(group) > 2 or group[0][0].domain == group[1][0].domain:
            return "several files of one side have the name of its pair"
        (first, one), (second, two) = group
        if one.reason or two.reason:
            bad = first if one.reason else second
            return f"the other side of its pair cannot be used: {bad.path}"
        if one.id == two.id:
            return "both sides of its pair are the same picture"
        sizes = [(len(side.pieces), *((p.width, p.height) for p in side.pieces if p.data)) for side in (one, two)]
        if sizes[0] != sizes[1] and all(piece.data for side in (one, two) for piece in side.pieces):
            return "the two sides of its pair differ in size"
        for left, right in zip(one.pieces, two.pieces, strict=True):
            held = [side.id for side in (left, right) if side.id in self.index]
            if len(held) == 2 and self.index.pair_of(left.id) != self.index.pair_of(right.id):
                return "its pixels are in the dataset already, with another partner; give the dataset another `name`"
            if len(held) == 1 and (first.is_mask or second.is_mask) and not self.tiled:
                return "its photograph is in the dataset already, with another mask; give the dataset another `name`"
        return ""

    def _usable(
        self, item: SourceItem, examined: Examined, facts: Facts, seen: tuple[str, Facts] | None, fault: str = ""
    ) -> bool:
        """Return whether a file may be used; it is set aside if not. `seen`: the file that had its pixels before."""
        if examined.reason:
            copy = self.quarantine.add(item, examined.rejected, examined.reason)
            self.file_cache.note(item, examined, copy)
            return False
        self.file_cache.note(item, examined)
        if self.expect.labels is not None and item.label is not None and item.label not in self.expect.labels:
            fault = fault or f"its label {item.label!r} is none of those that the config expects"
        fault = fault or self._contradiction(examined.id, facts, seen)
        if fault:
            try:
                data = item.read()
            except UnreadableImageError:
                data = b""
            self.quarantine.add(item, data, fault)
        return not fault

    def _contradiction(self, key: str, facts: Facts, seen: tuple[str, Facts] | None) -> str:
        held = self.index.held(key)
        if seen and seen[1] != facts:
            return f"its pixels are those of {seen[0]}, {seen[1].contradiction(facts)}"
        if held and held != facts:
            return f"its pixels are in the dataset already, {held.contradiction(facts)}"
        return ""

    def _record(
        self, item: SourceItem, piece: Piece, split: Split, facts: Facts, pair: str | None = None
    ) -> Iterator[ImageRow]:
        if piece.id in self.index:
            self.num_known += 1
            return
        self.num_new += 1
        source = _source(item)
        self._count(split, facts, piece.phash, source)
        self.added.add(piece.stats, facts.label)
        path = item.path if piece.corner is None else f"{item.path}-{piece.corner[0]}-{piece.corner[1]}.png"
        yield ImageRow(
            data=piece.data,
            path=Path(path).with_suffix(".png").as_posix(),
            id=piece.id,
            split=split,
            label=facts.label,
            domain=facts.domain,
            width=piece.width,
            height=piece.height,
            source=source,
            pair=pair,
            phash=piece.phash,
            look=piece.stats,
        )

    def _count(self, split: str, facts: Facts, phash: str | None, source: str) -> None:
        self.splits[facts.domain, split] += 1
        self.unlabeled[facts.domain] += facts.label is None
        if phash is not None:
            self.index.add_hash(split, phash, source)


def _with_masks_by_partner(group: list[tuple[SourceItem, Examined]]) -> list[tuple[SourceItem, Examined]]:
    """Give masks ids of what they are masks of: of different photographs they may well be the same, all background.

    Those that were remembered, which have no data, have such ids.
    """
    if len(group) != 2:
        return group
    named = []
    for (item, examined), (_, other) in zip(group, reversed(group), strict=True):
        if item.is_mask and len(examined.pieces) == len(other.pieces) and all(piece.data for piece in examined.pieces):
            pairs = zip(examined.pieces, other.pieces, strict=True)
            pieces = tuple(replace(piece, id=_mask_id(piece.id, photo.id)) for piece, photo in pairs)
            examined = replace(examined, id=_mask_id(examined.id, other.id), pieces=pieces)
        named.append((item, examined))
    return named


def _mask_id(mask: str, photo: str) -> str:
    return hashlib.sha256(f"{mask} of {photo}".encode()).hexdigest()


def _source(item: SourceItem) -> str:
    return f"{item.source.rstrip('/')}/{item.path}"


def domains_of(splits: Iterable[tuple[str | None, str]]) -> list[str | None]:
    """Return the different domains, in the order of their names; one without a name where there are none."""
    return sorted({domain for domain, _ in splits} or {None}, key=str)
