"""A time limit for a whole call over a network: one that is per read is not broken by a byte now and then."""

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


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
