"""Images that installed packages bring along: photographs and handwritten digits."""

import csv
import gzip
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from flows.sources.base import Source, SourceError, SourceItem
from flows.sources.files import read_file, sha256_of
from gan_models.ingest.decoding import encode_png

_LIST_VERSION = 1  # of the lists below, which say what a built-in source is made of
_PHOTOS = {
    ("scikit-image", "skimage", "data"): (
        *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png"),
        *("gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "retina.jpg"),
        "rocket.jpg",
    ),
    ("scikit-learn", "sklearn", "datasets/images"): ("china.jpg", "flower.jpg"),
    ("matplotlib", "matplotlib", "mpl-data/sample_data"): ("grace_hopper.jpg",),
}


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
        """Return how many photographs there are."""
        return len(self._files)

    def notes(self) -> tuple[str, ...]:
        """Return nothing: there is nothing to choose."""
        return ()

    def fingerprint(self) -> str:
        """Return a SHA-256 of the packages' versions and of which photographs they have."""
        return sha256_of([self.spec, _LIST_VERSION, self._versions, sorted(self._files)])

    def items(self) -> Iterator[SourceItem]:
        """Yield the photographs, sorted by name."""
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

    def notes(self) -> tuple[str, ...]:
        """Return nothing: there is nothing to choose."""
        return ()

    def fingerprint(self) -> str:
        """Return a SHA-256 of the package's version."""
        return sha256_of([self.spec, _LIST_VERSION, f"scikit-learn {version('scikit-learn')}"])

    def items(self) -> Iterator[SourceItem]:
        """Yield the digits, in the order of the package."""
        with gzip.open(self._file, "rt", encoding="ascii", newline="") as file:
            for number, (*levels, digit) in enumerate(csv.reader(file)):
                name, label = f"{number:04d}.png", str(int(float(digit)))
                yield SourceItem(path=name, read=partial(_digit, tuple(levels)), label=label, source=self.spec)


BUILTIN_SOURCES: dict[str, Callable[[], Source]] = {DigitsSource.spec: DigitsSource, PhotosSource.spec: PhotosSource}


def _digit(levels: tuple[str, ...]) -> bytes:
    """Return a digit's 64 gray levels, 0 to 16, as a PNG."""
    values = np.array(levels, dtype=float).reshape(8, 8)
    return encode_png(Image.fromarray(np.rint(values * (255 / 16)).astype(np.uint8)))


def _package_folder(package: str, distribution: str, spec: str) -> Path:
    found = find_spec(package)  # This locates a package without importing it.
    if found is None or not found.submodule_search_locations:
        raise SourceError(f"{spec} needs {distribution}, which is not installed; install it or remove the source")
    return Path(found.submodule_search_locations[0])
