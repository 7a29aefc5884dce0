"""Hosts whose clocks are wrong: what this process takes for the present time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def clock_off_by(minutes: float) -> Iterator[None]:
    """Let everything in this process that asks `time.time`, as MLflow's client does, be told another time."""
    ask = time.time
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(time, "time", lambda: ask() + 60 * minutes)
        yield
