"""When a run on a worker counts as ended."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed, Crashed, Failed, Running

from flows.runtime.deployments import has_ended, is_completed

MINUTES = timedelta(minutes=10)
NONE = timedelta()


@pytest.mark.parametrize(
    ("state", "age", "ended"),
    [
        (Completed, NONE, True),
        (Failed, NONE, True),
        (Running, NONE, False),
        (Crashed, NONE, False),  # the server's automation is about to begin it again
        (Crashed, MINUTES, True),
    ],
)
def test_a_run_that_crashed_a_moment_ago_has_not_ended(
    state: Callable[..., State], age: timedelta, ended: bool
) -> None:
    run = FlowRun(flow_id=uuid4(), state=state(timestamp=datetime.now(UTC) - age))
    assert has_ended(run) is ended
    assert is_completed(run) is (state is Completed)
