"""Time limits for what comes over a network: a server that sends a byte now and then breaks none that is per read."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from flows.sources.base import SourceError

Result = TypeVar("Result")


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


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return what a call returns, or raises, within so many seconds.

    The call is made in a thread. One that takes longer cannot be ended, and is left alone: it may change nothing that
    others use.

    Raises:
        TimeoutError: it takes longer.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # raised below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(min(seconds, threading.TIMEOUT_MAX))
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"it takes more than {seconds:,.3g} seconds")
    return results[0]
