"""A limit on how much of something there is at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Room:
    """So much of something at once; who wants more than there is waits, and who wants more than all gets all."""

    def __init__(self, amount: int) -> None:
        self._amount = self._free = amount
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, amount: int) -> Iterator[None]:
        """Take some for as long as the context lasts."""
        wanted = min(amount, self._amount)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()
