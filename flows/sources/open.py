"""Where images come from: packages that bring some along, torchvision, folders, archives, tables, buckets.

Opening a source and taking its fingerprint reads files only: no scikit-learn, scikit-image, pandas or PyTorch is
imported, and nothing is downloaded. Only the images of a `torchvision:` source are, when they are asked for.
"""

import csv
import gzip
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import NoReturn

import numpy as np
from PIL import Image

from flows.config.model_config import SourceConfig
from flows.sources.archive import SUFFIXES as ARCHIVE_SUFFIXES
from flows.sources.archive import ArchiveSource
from flows.sources.base import Source, SourceError, SourceItem
from flows.sources.bucket import BucketSource
from flows.sources.files import file_digest, label_of, plain_name, read_file, sha256_of, size_and_version
from flows.sources.pairs import PairedSource
from flows.sources.s3 import SCHEME, StorageError
from flows.sources.sqlite_rows import SortedRows
from flows.sources.table import SUFFIXES as TABLE_SUFFIXES
from flows.sources.table import TableSource
from flows.sources.torchvision import PREFIX, TORCHVISION_SOURCES, TorchvisionSource
from gan_models.ingest.decoding import encode_png
from gan_models.text import nearest

_LIST_VERSION = 1  # of the lists below: what a built-in source is made of
_PHOTOS = {
    ("scikit-image", "skimage", "data"): (
        *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png"),
        *("gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "retina.jpg"),
        "rocket.jpg",
    ),
    ("scikit-learn", "sklearn", "datasets/images"): ("china.jpg", "flower.jpg"),
    ("matplotlib", "matplotlib", "mpl-data/sample_data"): ("grace_hopper.jpg",),
}


def open_source(
    source: SourceConfig | str, root: Path, downloads: Path | None = None, arriving: Path | None = None
) -> Source:
    """The source that a config names: `builtin:photos`, `torchvision:CIFAR10`, `s3://bucket/inbox`, or a path.

    A path is relative to `root` and leads to a folder, to an archive (zip, tar, tar.gz), or to a table (CSV, Parquet).
    In a folder, an archive and a bucket, the sub-folders are labels, and folders within those only order things. Hidden
    files are ignored. Everything else counts as an image, so that what is none is reported rather than overlooked.

    Args:
        source: the path, or a mapping that says more.
        root: of the project.
        downloads: where torchvision's datasets are, or are put; without it, the project's `.atelier/downloads`.
        arriving: where files wait that are on their way into a version; without it, `.atelier/arriving`.

    Raises:
        SourceError: an unknown name, a missing or empty folder, or one that cannot be read. Of archives, buckets and
            tables, it is raised when their files are first asked for.
    """
    config = SourceConfig(path=source) if isinstance(source, str) else source
    state = root / ".atelier"
    opened = _open(config, root, downloads or state / "downloads", arriving or state / "arriving")
    if config.pairs:
        opened = PairedSource(opened, config.pairs)
    said = config.domain is not None or config.labels == "file" or config.split_by == "tile"
    return DescribedSource(opened, config) if said else opened


def _open(config: SourceConfig, root: Path, downloads: Path, arriving: Path) -> Source:
    spec = config.path
    if spec.startswith(SCHEME):
        try:
            return BucketSource(spec, arriving)
        except StorageError as error:
            raise SourceError(str(error)) from None
    if spec in _BUILTINS:
        return _BUILTINS[spec]()
    if spec in TORCHVISION_SOURCES:
        return TorchvisionSource(spec, downloads)
    folder = root / spec
    is_named = spec.startswith(("builtin:", PREFIX))
    if is_named or not folder.exists():
        known = {name.split(":")[1].lower(): name for name in (*_BUILTINS, *TORCHVISION_SOURCES)}
        near = nearest(spec.split(":")[-1], known)
        choice = f"it can be a folder or one of {', '.join(known.values())}"
        hint = f"did you mean '{known[near]}'?" if near else choice
        kind = "source" if is_named else "folder"
        raise SourceError(f"there is no {kind} {spec!r}; {hint}")
    if not folder.is_dir():
        if spec.lower().endswith(ARCHIVE_SUFFIXES):
            return ArchiveSource(spec, folder, arriving)
        if spec.lower().endswith(TABLE_SUFFIXES):
            return TableSource(spec, folder, config.image_column, config.label_column)
        raise SourceError(
            f"the source {spec!r} is a file; name the folder that the images are in, "
            f"an archive ({', '.join(ARCHIVE_SUFFIXES)}) or a table ({', '.join(TABLE_SUFFIXES)})"
        )
    return FolderSource(spec, folder)


class DescribedSource:
    """A source of which the config says more than its path: domain, labels, split."""

    def __init__(self, source: Source, config: SourceConfig) -> None:
        self.spec = source.spec
        self._source = source
        self._config = config

    @property
    def num_items(self) -> int:
        return self._source.num_items

    def fingerprint(self) -> str:
        return sha256_of([self._source.fingerprint(), self._config.model_dump()])

    def items(self) -> Iterator[SourceItem]:
        for item in self._source.items():
            label = PurePosixPath(item.path).stem if self._config.labels == "file" else item.label
            domain = item.domain if item.pair else self._config.domain
            yield replace(item, label=label, domain=domain, split_by=self._config.split_by)


class FolderSource:
    """The files in a folder, as they are listed when it is opened."""

    def __init__(self, spec: str, folder: Path) -> None:
        self.spec = spec
        self._folder = folder
        # As bytes: a name on the disk need not be text.
        self._names = SortedRows(((os.fsencode(name),) for name in _visible_files(folder, spec)), num_columns=1)
        self.num_items = len(self._names)
        if not self.num_items:
            raise SourceError(f"the folder {spec!r} holds no files; put images into it, labeled ones in sub-folders")

    def fingerprint(self) -> str:
        return sha256_of([name, file_digest(path)] for name, path in self._files())

    def items(self) -> Iterator[SourceItem]:
        for name, path in self._files():
            size, version = size_and_version(path)
            yield SourceItem(
                path=name,
                read=partial(read_file, path),
                label=label_of(name),
                source=self.spec,
                size=size,
                version=version,
            )

    def _files(self) -> Iterator[tuple[str, Path]]:
        """Each file's name within the folder, the same on every system, and its path."""
        for (name,) in self._names:
            relative = os.fsdecode(name)
            yield plain_name(relative), self._folder / relative


class PhotosSource:
    """The photographs inside scikit-image, scikit-learn and matplotlib."""

    spec = "builtin:photos"

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}
        self._versions: list[str] = []
        for (distribution, package, folder), names in _PHOTOS.items():
            home = _package_folder(package, distribution, self.spec) / folder
            self._versions.append(f"{distribution} {version(distribution)}")
            self._files |= {name: home / name for name in names if (home / name).is_file()}
        if not self._files:
            raise SourceError(f"the photographs of {self.spec} are not where their packages keep them; reinstall them")

    @property
    def num_items(self) -> int:
        return len(self._files)

    def fingerprint(self) -> str:
        return sha256_of([self.spec, _LIST_VERSION, self._versions, sorted(self._files)])

    def items(self) -> Iterator[SourceItem]:
        for name in sorted(self._files):
            yield SourceItem(path=name, read=partial(read_file, self._files[name]), label=None, source=self.spec)


class DigitsSource:
    """The 1,797 handwritten digits inside scikit-learn: 8x8, gray, white on black, labeled "0" to "9"."""

    spec = "builtin:digits"
    num_items = 1797

    def __init__(self) -> None:
        self._file = _package_folder("sklearn", "scikit-learn", self.spec) / "datasets/data/digits.csv.gz"
        if not self._file.is_file():
            raise SourceError(f"the digits of {self.spec} are not where scikit-learn keeps them; reinstall it")

    def fingerprint(self) -> str:
        return sha256_of([self.spec, _LIST_VERSION, f"scikit-learn {version('scikit-learn')}"])

    def items(self) -> Iterator[SourceItem]:
        with gzip.open(self._file, "rt", encoding="ascii", newline="") as file:
            for number, (*levels, digit) in enumerate(csv.reader(file)):
                name, label = f"{number:04d}.png", str(int(float(digit)))
                yield SourceItem(path=name, read=partial(_digit, tuple(levels)), label=label, source=self.spec)


_BUILTINS: dict[str, Callable[[], Source]] = {DigitsSource.spec: DigitsSource, PhotosSource.spec: PhotosSource}


def _digit(levels: tuple[str, ...]) -> bytes:
    """A digit's 64 gray levels, 0 to 16, as a PNG."""
    values = np.array(levels, dtype=float).reshape(8, 8)
    return encode_png(Image.fromarray(np.rint(values * (255 / 16)).astype(np.uint8)))


def _package_folder(package: str, distribution: str, spec: str) -> Path:
    found = find_spec(package)  # locates a package without importing it
    if found is None or not found.submodule_search_locations:
        raise SourceError(f"{spec} needs {distribution}, which is not installed; install it or remove the source")
    return Path(found.submodule_search_locations[0])


def _visible_files(folder: Path, spec: str) -> Iterator[str]:
    """Their paths within the folder."""

    def refuse(error: OSError) -> NoReturn:
        raise SourceError(f"the folder {spec!r} cannot be read: {error.strerror}: {error.filename}") from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        linked = [name for name in folders if Path(parent, name).is_symlink()]  # which os.walk does not follow
        within = Path(parent).relative_to(folder).as_posix()
        prefix = "" if within == "." else f"{within}/"
        yield from (prefix + name for name in [*files, *linked] if not name.startswith("."))
