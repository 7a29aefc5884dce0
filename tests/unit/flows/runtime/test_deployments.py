"""When a run on a worker counts as ended."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed, Crashed, Failed, Running

from flows.runtime.deployments import has_ended, is_completed

LONG_AGO = datetime.now(UTC) - timedelta(minutes=10)


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        (Completed(), True),
        (Failed(), True),
        (Running(), False),
        (Crashed(), False),  # the server's automation is about to begin it again
        (Crashed(timestamp=LONG_AGO), True),
    ],
)
def test_a_run_that_crashed_a_moment_ago_has_not_ended(state: State, ended: bool) -> None:
    run = FlowRun(flow_id=uuid4(), state=state)
    assert has_ended(run) is ended
    assert is_completed(run) is (state.name == "Completed")
