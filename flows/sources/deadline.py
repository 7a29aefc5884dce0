"""The time that reading all of a source may take."""

import time
from dataclasses import dataclass

from flows.sources.base import SourceError


@dataclass(frozen=True)
class Deadline:
    """When reading all of a source has to have ended.

    until: in seconds since 1970
    hours: how long that is from its beginning, for the message
    """

    until: float = float("inf")
    hours: float = float("inf")

    @classmethod
    def after(cls, hours: float) -> "Deadline":
        """Return the deadline of a source that has so many hours from now on."""
        return cls(time.time() + 3600 * hours, hours)

    def seconds_left(self) -> float:
        """Return how many seconds the source has left.

        Raises:
            SourceError: it has none.
        """
        left = self.until - time.time()
        if left <= 0:
            raise SourceError(
                f"reading the images took more than the {self.hours:g} hours that their source has; "
                "set its `max_hours` higher, or put the files nearer"
            )
        return left
