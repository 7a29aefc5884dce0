"""Where images come from: photographs and digits that installed packages bring along, torchvision's datasets, folders.

Opening a source and taking its fingerprint reads files only: no scikit-learn, scikit-image, pandas or PyTorch is
imported, and nothing is downloaded. Only the images of a `torchvision:` source are, when they are asked for.
"""

import csv
import difflib
import gzip
import hashlib
import json
import os
import stat
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import NoReturn

import numpy as np
from PIL import Image

from flows.model_config import SourceConfig
from flows.source_item import Source, SourceError, SourceItem
from flows.torchvision_source import PREFIX, TORCHVISION_SOURCES, TorchvisionSource
from gan_models.images.decoding import DecodingLimits, UnreadableImageError, encode_png

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


def open_source(source: SourceConfig | str, root: Path, downloads: Path | None = None) -> Source:
    """The source that a config names: `builtin:photos`, `torchvision:CIFAR10`, or a folder, relative to `root`.

    In a folder, the sub-folders are labels, and folders within those only order things. Hidden files are ignored.
    Everything else counts as an image, so that what is none is reported rather than overlooked.

    Args:
        source: the path, or a mapping that says more.
        root: of the project.
        downloads: where torchvision's datasets are, or are put; without it, the project's `.atelier/downloads`.

    Raises:
        SourceError: an unknown name, a missing or empty folder, or one that cannot be read.
    """
    config = SourceConfig(path=source) if isinstance(source, str) else source
    opened = _open(config.path, root, downloads or root / ".atelier" / "downloads")
    return opened if config == SourceConfig(path=config.path) else DescribedSource(opened, config)


def _open(spec: str, root: Path, downloads: Path) -> Source:
    if spec in _BUILTINS:
        return _BUILTINS[spec]()
    if spec in TORCHVISION_SOURCES:
        return TorchvisionSource(spec, downloads)
    folder = root / spec
    is_named = spec.startswith(("builtin:", PREFIX))
    if is_named or not folder.exists():
        known = {name.split(":")[1].lower(): name for name in (*_BUILTINS, *TORCHVISION_SOURCES)}
        near = difflib.get_close_matches(spec.split(":")[-1].lower(), list(known), n=1, cutoff=0.7)
        choice = f"it can be a folder or one of {', '.join(known.values())}"
        hint = f"did you mean '{known[near[0]]}'?" if near else choice
        kind = "source" if is_named else "folder"
        raise SourceError(f"there is no {kind} {spec!r}; {hint}")
    if not folder.is_dir():
        raise SourceError(f"the source {spec!r} is a file; name the folder that the images are in")
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
        return _sha256([self._source.fingerprint(), self._config.model_dump()])

    def items(self) -> Iterator[SourceItem]:
        for item in self._source.items():
            label = PurePosixPath(item.path).stem if self._config.labels == "file" else item.label
            yield replace(item, label=label, domain=self._config.domain, split_by=self._config.split_by)


class FolderSource:
    """The files in a folder, as they are listed when it is opened."""

    def __init__(self, spec: str, folder: Path) -> None:
        self.spec = spec
        self._folder = folder
        self._paths = sorted(_visible_files(folder, spec), key=lambda path: path.relative_to(folder).as_posix())
        if not self._paths:
            raise SourceError(f"the folder {spec!r} holds no files; put images into it, labelled ones in sub-folders")

    @property
    def num_items(self) -> int:
        return len(self._paths)

    def fingerprint(self) -> str:
        return _sha256([[self._name(path), _file_digest(path)] for path in self._paths])

    def items(self) -> Iterator[SourceItem]:
        for path in self._paths:
            name = self._name(path)
            label = name.split("/")[0] if "/" in name else None
            yield SourceItem(path=name, read=partial(_read_file, path), label=label, source=self.spec)

    def _name(self, path: Path) -> str:
        """The path within the folder, the same on every system: composed Unicode, bytes that are none replaced."""
        name = os.fsencode(path.relative_to(self._folder).as_posix()).decode("utf-8", "replace")
        return unicodedata.normalize("NFC", name)


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
        return _sha256([self.spec, _LIST_VERSION, self._versions, sorted(self._files)])

    def items(self) -> Iterator[SourceItem]:
        for name in sorted(self._files):
            yield SourceItem(path=name, read=partial(_read_file, self._files[name]), label=None, source=self.spec)


class DigitsSource:
    """The 1,797 handwritten digits inside scikit-learn: 8x8, grey, white on black, labelled "0" to "9"."""

    spec = "builtin:digits"
    num_items = 1797

    def __init__(self) -> None:
        self._file = _package_folder("sklearn", "scikit-learn", self.spec) / "datasets/data/digits.csv.gz"
        if not self._file.is_file():
            raise SourceError(f"the digits of {self.spec} are not where scikit-learn keeps them; reinstall it")

    def fingerprint(self) -> str:
        return _sha256([self.spec, _LIST_VERSION, f"scikit-learn {version('scikit-learn')}"])

    def items(self) -> Iterator[SourceItem]:
        with gzip.open(self._file, "rt", encoding="ascii", newline="") as file:
            for number, (*levels, digit) in enumerate(csv.reader(file)):
                name, label = f"{number:04d}.png", str(int(float(digit)))
                yield SourceItem(path=name, read=partial(_digit, tuple(levels)), label=label, source=self.spec)


_BUILTINS: dict[str, Callable[[], Source]] = {DigitsSource.spec: DigitsSource, PhotosSource.spec: PhotosSource}


def _digit(levels: tuple[str, ...]) -> bytes:
    """A digit's 64 grey levels, 0 to 16, as a PNG."""
    values = np.array(levels, dtype=float).reshape(8, 8)
    return encode_png(Image.fromarray(np.rint(values * (255 / 16)).astype(np.uint8)))


def _package_folder(package: str, distribution: str, spec: str) -> Path:
    found = find_spec(package)  # locates a package without importing it
    if found is None or not found.submodule_search_locations:
        raise SourceError(f"{spec} needs {distribution}, which is not installed; install it or remove the source")
    return Path(found.submodule_search_locations[0])


def _visible_files(folder: Path, spec: str) -> Iterator[Path]:
    def refuse(error: OSError) -> NoReturn:
        raise SourceError(f"the folder {spec!r} cannot be read: {error.strerror}: {error.filename}") from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        linked = [name for name in folders if Path(parent, name).is_symlink()]  # which os.walk does not follow
        yield from (Path(parent, name) for name in [*files, *linked] if not name.startswith("."))


def _read_file(path: Path) -> bytes:
    """A file's bytes, unless it is one that no image is kept in or that is too large to be tried."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise UnreadableImageError("the file is a link to a folder, which is not followed")
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableImageError("the file is not a regular one but a pipe, socket or device")
        limit = DecodingLimits().max_bytes
        if found.st_size > limit:
            raise UnreadableImageError(f"the file has {found.st_size:,} bytes, more than the limit of {limit:,}")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImageError(f"the file cannot be read: {error.strerror}") from error


def _file_digest(path: Path) -> str:
    try:
        if not path.is_file():
            return "not a regular file"
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _sha256(facts: list[object]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
