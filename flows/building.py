"""From sources to a dataset: decode, quarantine, drop duplicates, cut tiles, split, and write shards."""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from flows.source_item import Source, SourceItem
from gan_models.images.decoding import DecodingLimits, UnreadableImageError, decode, encode_png, image_id
from gan_models.images.shards import (
    ImageRecord,
    Split,
    content_digest,
    read_rows,
    shard_paths,
    split_of,
    statistics,
    write_shards,
)


class DatasetRefusedError(ValueError):
    """A dataset that is not built; nothing of it was written, and the message says why and what to do."""


@dataclass(frozen=True)
class QuarantinedFile:
    """A file that is not used. `copy`: the name of its copy in the quarantine folder, empty where there is none."""

    path: str
    source: str
    reason: str
    copy: str


@dataclass(frozen=True)
class BuildReport:
    """What a build found and did.

    num_items: files in the sources
    num_new, num_known: images (tiles, where there are tiles) added now, and those that were in the dataset already
    num_duplicates: files, or tiles, left out because their pixels had come before
    splits: images per split in the dataset as it is now, earlier ones included
    """

    num_items: int
    num_new: int
    num_known: int
    num_duplicates: int
    quarantined: tuple[QuarantinedFile, ...]
    splits: dict[str, int]
    content_digest: str


def build_dataset(
    sources: Sequence[Source],
    directory: Path,
    *,
    evaluation_share: float,
    tile: int | None = None,
    max_tiles_per_image: int = 40,
    max_quarantined_share: float = 0.05,
    min_side: int = 8,
    quarantine: Path,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> BuildReport:
    """Adds what is new in `sources` to the dataset in `directory`, which stays as it was where this raises.

    Files that cannot be used are copied to `quarantine`, with their reasons in `quarantine.csv`. A file with the pixels
    of an earlier one is left out; with another label or domain than that one, it is quarantined. With `tile`, each
    photograph is cut into tiles of that many pixels, all of them in the photograph's split, unless its source splits by
    tile. A tile with the pixels of an earlier one is left out. The same sources make the same files.

    Raises:
        DatasetRefusedError: too much is quarantined; only some images of a domain have labels; a split of a domain
            would be empty.
        DataError: an existing shard is damaged.
    """
    if not 0 < evaluation_share < 1:
        raise DatasetRefusedError(f"evaluation_share is {evaluation_share}; it has to lie between 0 and 1")
    build = _Build(
        limits=DecodingLimits(min_side=max(min_side, tile or 0)),
        evaluation_share=evaluation_share,
        tile=tile,
        max_tiles_per_image=max_tiles_per_image,
        quarantine=quarantine,
    )
    if shard_paths(directory):
        build.know(read_rows(directory, ["id", "split", "label", "domain", "source"]))
    total = sum(source.num_items for source in sources)

    def records() -> Iterator[ImageRecord]:
        items = (item for source in sources for item in source.items())
        for done, item in enumerate(items, start=1):
            yield from build.records_of(item)
            if on_progress:
                on_progress(done, total)
        build.write_quarantine_list()
        build.check(total, max_quarantined_share)

    write_shards(records(), directory)
    return BuildReport(
        num_items=total,
        num_new=build.num_new,
        num_known=build.num_known,
        num_duplicates=build.num_duplicates,
        quarantined=tuple(build.quarantined),
        splits=statistics(directory).splits,
        content_digest=content_digest(directory),
    )


class _Facts(NamedTuple):
    """What a source says of an image; it must not say two things of the same pixels."""

    label: str | None
    domain: str | None

    def contradiction(self, later: "_Facts") -> str:
        """What `later` says otherwise, for an error message."""
        if self.domain != later.domain:
            return f"of the domain {self.domain!r}, not {later.domain!r}"
        return f"labelled {self.label!r}, not {later.label!r}"


@dataclass
class _Build:
    """One build under way: its settings, and what it has seen so far."""

    limits: DecodingLimits
    evaluation_share: float
    tile: int | None
    max_tiles_per_image: int
    quarantine: Path
    num_new: int = 0
    num_known: int = 0
    num_duplicates: int = 0
    quarantined: list[QuarantinedFile] = field(default_factory=list)
    splits: Counter[tuple[str | None, str]] = field(default_factory=Counter)  # by domain and split
    unlabelled: Counter[str | None] = field(default_factory=Counter)  # by domain
    _known: dict[str, _Facts] = field(default_factory=dict)  # by id, of images in the dataset
    _seen: dict[str, tuple[str, _Facts]] = field(default_factory=dict)  # by id, with the source, in this build
    _split_of_source: dict[str, Split] = field(default_factory=dict)

    def know(self, rows: list[dict[str, str | None]]) -> None:
        """Takes in the rows of the dataset as it is."""
        for row in rows:
            self._known[row["id"] or ""] = _Facts(row["label"], row["domain"])
            self._split_of_source[row["source"] or ""] = "evaluation" if row["split"] == "evaluation" else "train"
            self.splits[row["domain"], row["split"] or ""] += 1
            self.unlabelled[row["domain"]] += row["label"] is None

    def records_of(self, item: SourceItem) -> Iterator[ImageRecord]:
        """The rows that a file becomes: one, several tiles, or none where it is known or quarantined."""
        data = b""
        try:
            data = item.read()
            image = decode(data, limits=self.limits)
            key = image_id(image)
            self._refuse_contradiction(key, item)
        except UnreadableImageError as error:
            self._quarantine(item, data, str(error))
            return
        source = f"{item.source.rstrip('/')}/{item.path}"
        if key in self._seen:
            self.num_duplicates += 1
            return
        facts = _Facts(item.label, item.domain)
        self._seen[key] = source, facts
        split = split_of(key, self.evaluation_share)
        if self.tile is None:
            yield from self._record(image, key, item.path, split, facts, source)
            return
        split = self._split_of_source.get(source, split)  # further tiles follow those that are in the dataset
        for column, row in _tile_grid(image, self.tile, self.max_tiles_per_image):
            cut = image.crop((column, row, column + self.tile, row + self.tile))
            path = f"{item.path}-{column}-{row}.png"
            tile_id = image_id(cut)
            if tile_id != key and tile_id in self._seen:
                self.num_duplicates += 1
                continue
            self._seen[tile_id] = source, facts
            own = split_of(tile_id, self.evaluation_share) if item.split_by == "tile" else split
            yield from self._record(cut, tile_id, path, own, facts, source)

    def write_quarantine_list(self) -> None:
        """Lists the quarantined files of this build, in place of the last one's."""
        if not self.quarantined and not self.quarantine.is_dir():
            return
        self.quarantine.mkdir(parents=True, exist_ok=True)
        temporary = self.quarantine / "quarantine.csv.partial"
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["path", "source", "reason", "copy"])
            writer.writeheader()
            writer.writerows(asdict(entry) for entry in self.quarantined)
        temporary.replace(self.quarantine / "quarantine.csv")

    def check(self, total: int, max_quarantined_share: float) -> None:
        """Raises DatasetRefusedError where what was found makes no dataset."""
        if len(self.quarantined) > max_quarantined_share * total:
            reason, _ = Counter(entry.reason for entry in self.quarantined).most_common(1)[0]
            raise DatasetRefusedError(
                f"{len(self.quarantined)} of {total} files cannot be used, more than the {max_quarantined_share:.0%} "
                f"allowed, most often because {reason}; see {self.quarantine / 'quarantine.csv'}"
            )
        for domain in sorted({domain for domain, _ in self.splits} or {None}, key=str):
            self._check_domain(domain)

    def _check_domain(self, domain: str | None) -> None:
        """A recipe may be trained on one domain alone, so each has to make a dataset of its own."""
        of = f" of the domain '{domain}'" if domain else ""
        images = self.splits[domain, "train"] + self.splits[domain, "evaluation"]
        if 0 < self.unlabelled[domain] < images:
            raise DatasetRefusedError(
                f"{self.unlabelled[domain]} of {images} images{of} have no label; "
                "put all images into sub-folders, or none"
            )
        for split in ("train", "evaluation"):
            if not self.splits[domain, split]:
                raise DatasetRefusedError(
                    f"the {split} split{of} is empty: {images} images are too few for evaluation_share "
                    f"{self.evaluation_share}; add images or change the share"
                    + ("" if self.tile is None else ", or let the source have `split_by: tile`")
                )

    def _record(
        self, image: Image.Image, key: str, path: str, split: Split, facts: _Facts, source: str
    ) -> Iterator[ImageRecord]:
        if key in self._known:
            self.num_known += 1
            return
        self.num_new += 1
        self.splits[facts.domain, split] += 1
        self.unlabelled[facts.domain] += facts.label is None
        size = {"width": image.width, "height": image.height}
        stored = Path(path).with_suffix(".png").as_posix()
        yield ImageRecord(encode_png(image), stored, key, split, facts.label, facts.domain, **size, source=source)

    def _refuse_contradiction(self, key: str, item: SourceItem) -> None:
        facts = _Facts(item.label, item.domain)
        if key in self._seen and self._seen[key][1] != facts:
            source, earlier = self._seen[key]
            raise UnreadableImageError(f"its pixels are those of {source}, {earlier.contradiction(facts)}")
        if key in self._known and self._known[key] != facts:
            earlier = self._known[key]
            raise UnreadableImageError(f"its pixels are in the dataset already, {earlier.contradiction(facts)}")

    def _quarantine(self, item: SourceItem, data: bytes, reason: str) -> None:
        copy = ""
        if data:
            plain = re.sub(r"[^A-Za-z0-9._-]+", "_", item.path.split("/")[-1])[-80:]
            copy = f"{hashlib.sha256(data).hexdigest()[:12]}-{plain}"
            self.quarantine.mkdir(parents=True, exist_ok=True)
            (self.quarantine / copy).write_bytes(data)
        self.quarantined.append(QuarantinedFile(item.path, item.source, reason, copy))


def _tile_grid(image: Image.Image, tile: int, most: int) -> list[tuple[int, int]]:
    """Left and top of the tiles of a centred grid; of more than `most`, an evenly spread choice."""
    columns, rows = image.width // tile, image.height // tile
    left, top = (image.width - columns * tile) // 2, (image.height - rows * tile) // 2
    grid = [(left + column * tile, top + row * tile) for row in range(rows) for column in range(columns)]
    if len(grid) <= most:
        return grid
    return [grid[(2 * i + 1) * len(grid) // (2 * most)] for i in range(most)]
