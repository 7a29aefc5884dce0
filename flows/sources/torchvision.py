"""Datasets that torchvision knows how to download and read, as a source of images.

torchvision's own division into training and test images is not used: both are taken, and an image's split is a
function of its pixels, as for every other source.
"""

import hashlib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image

from flows.runtime.deadline import within
from flows.sources.base import SourceError, SourceItem
from gan_models.ingest.decoding import UnreadableImageError, encode_png
from gan_models.text import one_line

PREFIX = "torchvision:"
SILENCE_SECONDS = 60.0


@dataclass(frozen=True)
class _Kind:
    """How one of torchvision's classes is called and read.

    parts: the options that, one after the other, give all of its images
    folder: where its files lie within the downloads
    image: the bytes of image `i` as a file
    label: the name of the label of image `i`, None where the images have no classes
    """

    parts: dict[str, dict[str, Any]]
    folder: str
    image: Callable[[Any, int], bytes]
    label: Callable[[Any, int], str | None]


class TorchvisionSource:
    """One dataset, downloaded when its images are first asked for; importing torchvision takes seconds."""

    def __init__(self, spec: str, downloads: Path, *, max_hours: float = 12) -> None:
        self.spec = spec
        self._max_hours = max_hours
        self._name = spec.removeprefix(PREFIX)
        self._kind = _KINDS[self._name]
        self._downloads = downloads

    @property
    def num_items(self) -> int:
        """Return how many images there are, downloading them first where they are not here."""
        return sum(len(dataset) for dataset in self._datasets.values())

    def fingerprint(self) -> str:
        """Return a SHA-256 of the name and torchvision's version.

        What these datasets hold is fixed, and torchvision checks it by MD5: so it is the same on a machine that has
        them and on one that has yet to download them.
        """
        return hashlib.sha256(f"{self.spec} torchvision {version('torchvision')}".encode()).hexdigest()

    def notes(self) -> tuple[str, ...]:
        """Return nothing: there is nothing to choose."""
        return ()

    def items(self) -> Iterator[SourceItem]:
        """Yield the images, part by part."""
        for part, dataset in sorted(self._datasets.items()):
            for number in range(len(dataset)):
                yield SourceItem(
                    path=f"{part}/{number:06d}",
                    read=partial(self._read, dataset, number),
                    label=self._kind.label(dataset, number),
                    source=self.spec,
                )

    def _read(self, dataset: Any, number: int) -> bytes:  # noqa: ANN401
        try:
            return self._kind.image(dataset, number)
        except OSError as error:
            raise UnreadableImageError(f"the file cannot be read: {error.strerror or error}") from error

    @cached_property
    def _datasets(self) -> dict[str, Any]:
        from torchvision import datasets

        self._downloads.mkdir(parents=True, exist_ok=True)
        wanted, parts = getattr(datasets, self._name), self._kind.parts
        try:
            with _silence_is_an_error():
                return within(
                    self._max_hours * 3600,
                    lambda: {part: wanted(self._downloads, download=True, **parts[part]) for part in parts},
                )
        except Exception as error:  # torchvision lets through whatever a network or a damaged file leads to
            raise SourceError(
                f"could not download or read {self.spec} ({one_line(error, 300)}); "
                f"put its files, as its own page offers them, into {self._downloads / self._kind.folder}"
            ) from error


@contextmanager
def _silence_is_an_error() -> Iterator[None]:
    """Let connections made meanwhile fail where the server says nothing for long; torchvision sets no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _as_png(dataset: Any, number: int) -> bytes:  # noqa: ANN401
    image: Image.Image = dataset[number][0]
    return encode_png(image)


def _class_name(dataset: Any, number: int) -> str:  # noqa: ANN401
    """Return the name without a slash, which would look like a slice in the name of a metric."""
    return str(dataset.classes[int(dataset.targets[number])]).replace("/", " or ")


def _digit(dataset: Any, number: int) -> str:  # noqa: ANN401
    """Return the digit as builtin:digits has it; torchvision's own names are "7 - seven"."""
    return str(int(dataset.targets[number]))


def _celeba_file(dataset: Any, number: int) -> bytes:  # noqa: ANN401
    name = dataset.filename[number]
    return Path(dataset.root, dataset.base_folder, "img_align_celeba", name).read_bytes()


def _flower(dataset: Any, number: int) -> str:  # noqa: ANN401
    return str(dataset.classes[dataset._labels[number]])


_TRAIN_AND_TEST: dict[str, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}
_FLOWERS = {part: {"split": part, "loader": Path.read_bytes} for part in ("train", "val", "test")}
_KINDS = {
    "MNIST": _Kind(_TRAIN_AND_TEST, "MNIST/raw", _as_png, _digit),
    "FashionMNIST": _Kind(_TRAIN_AND_TEST, "FashionMNIST/raw", _as_png, _class_name),
    "CIFAR10": _Kind(_TRAIN_AND_TEST, "cifar-10-batches-py", _as_png, _class_name),
    "CelebA": _Kind({"all": {"split": "all"}}, "celeba", _celeba_file, lambda dataset, number: None),
    "Flowers102": _Kind(_FLOWERS, "flowers-102", lambda dataset, number: dataset[number][0], _flower),
}
TORCHVISION_SOURCES = tuple(PREFIX + name for name in _KINDS)
