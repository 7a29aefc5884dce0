"""Whose the directory of a run is: that of the process that entered it last.

A lock on the directory keeps others out, but not for ever where hosts share it: one that is paused or cut off loses its
lock, and its process may wake after another went on from its checkpoints.
"""

from pathlib import Path
from uuid import uuid4

from gan_models.files import write_durably
from gan_models.training.checkpoints import CheckpointError


class Ownership:
    """The possession of a directory, taken when this is made; whoever had it before has lost it.

    Args:
        directory: of the run; it exists.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._file = directory / ".owner"
        self._token = uuid4().hex.encode()
        write_durably(self._file, self._token)

    def check(self) -> None:
        """Raise a CheckpointError if another process has taken the directory since."""
        try:
            owner = self._file.read_bytes()
        except FileNotFoundError:
            owner = b""
        if owner != self._token:
            raise CheckpointError(
                f"another process went on with the run in {self.directory} while this one was paused or cut off; "
                "this one ends and has changed nothing since"
            )
