"""A file that another process appends lines to, read on from where reading last ended."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 2**22  # what is in memory at once of a file that was not read for long
TAIL_BYTES = 64


@dataclass
class FollowedFile:
    """How far a file was read: `offset` bytes, which end with `tail`. Both may be kept to go on after a restart.

    A file that was replaced or cut does not hold the tail at the offset any more, and is read from its beginning.
    """

    path: Path
    offset: int = 0
    tail: str = ""

    def new_lines(self) -> list[str]:
        """Return the whole lines that were appended, at most some megabytes of them; none where there is no file.

        A last line without its end is still being written, and waits.
        """
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return []
        with file:
            file.seek(max(0, self.offset - len(self.tail)))
            if file.read(len(self.tail)).decode("latin-1") != self.tail:
                self.offset, self.tail = 0, ""
                file.seek(0)
            new = file.read(CHUNK_BYTES)
            if b"\n" not in new and len(new) == CHUNK_BYTES:
                new += file.readline()
        whole = new[: new.rfind(b"\n") + 1]
        if whole:
            self.offset += len(whole)
            self.tail = (self.tail.encode("latin-1") + whole)[-TAIL_BYTES:].decode("latin-1")
        return whole.decode(errors="replace").split("\n")[:-1]

    def all_new_lines(self) -> Iterator[str]:
        """Yield every whole line that was appended, in chunks that fit into memory."""
        while lines := self.new_lines():
            yield from lines
