"""What every source of images is: a name, a fingerprint, and files that are read when they are asked for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from gan_models.errors import AtelierError


class SourceError(AtelierError):
    """A source that cannot be opened; the message says why and what to write instead."""


@dataclass(frozen=True)
class SourceItem:
    """One file of a source.

    path: its name within the source
    read: its bytes; raises UnreadableImageError where they cannot be had; can be sent to another process
    label: what the source says it shows, if anything
    source: the source's own name, as it stands in the config
    domain: the kind of image it is, for recipes that turn those of one domain into those of another
    split_by: whether its tiles, where it is cut into tiles, share one split
    size: bytes, 0 where they are not known before it is read
    version: changes when its bytes do, so that a file that was taken need not be read again; None where nothing does
    is_mask: whether it says in each pixel what is there, by gray values or palette indices, which are kept as they are
    pair: the same for the two files that show one thing in two domains, which follow each other in the source
    """

    path: str
    read: Callable[[], bytes]
    label: str | None
    source: str
    domain: str | None = None
    split_by: Literal["image", "tile"] = "image"
    size: int = 0
    version: str | None = None
    pair: str | None = None
    is_mask: bool = False


class Source(Protocol):
    """What images come from."""

    @property
    def spec(self) -> str:
        """Return its name in the config."""
        ...

    @property
    def num_items(self) -> int:
        """Return how many files it holds, readable or not."""
        ...

    def fingerprint(self) -> str:
        """Return a SHA-256 that changes whenever what `items` yields changes."""
        ...

    def items(self) -> Iterator[SourceItem]:
        """Yield the files, sorted by path."""
        ...

    def notes(self) -> tuple[str, ...]:
        """Return what a person should know of how the files were read, once they have been: one sentence each."""
        ...
