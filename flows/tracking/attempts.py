"""Which attempt at a run is the current one.

A process that was paused, or whose host lost its network, may wake after another took up its run. Locks cannot stop it;
that it is no longer the one named on the run does. It has to be asked before each write that counts.
"""

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import uuid4

from flows.tracking.errors import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

NUMBER, WHO = "attempt", "attempt_by"  # tags of a run


class StaleAttemptError(TrackingError):
    """Another attempt has taken up the run; the message names both."""


class Attempts:
    """The attempts that this process has begun, by the id of their run."""

    def __init__(self) -> None:
        self._own: dict[str, dict[str, str]] = {}

    def begin(self, client: "MlflowClient", run_id: str, tags: Mapping[str, str]) -> None:
        """Make this process the one that works on a run, whose tags are given; whoever did so is stale from here on."""
        from mlflow.entities import RunTag

        number = int(tags.get(NUMBER, "0")) + 1
        # The last part tells apart processes of containers with one name and one number.
        who = f"{socket.gethostname()}, process {os.getpid()}, {uuid4().hex[:8]}"
        own = {NUMBER: str(number), WHO: who}
        client.log_batch(run_id, tags=[RunTag(name, value) for name, value in own.items()])
        self._own[run_id] = own

    def check(self, client: "MlflowClient", run_id: str) -> None:
        """Raise a StaleAttemptError unless this process's attempt at a run, where it began one, is the current one."""
        own = self._own.get(run_id)
        if own is None:
            return
        tags = client.get_run(run_id).data.tags
        if tags.get(WHO) != own[WHO]:
            raise StaleAttemptError(
                f"attempt {own[NUMBER]} at run {run_id[:7]} ({own[WHO]}) was paused or cut off, and attempt "
                f"{tags.get(NUMBER)} ({tags.get(WHO)}) took it up; this one ends and leaves it alone"
            )
