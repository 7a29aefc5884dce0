"""A Prefect server that was started again waits for no event that it saw before."""

import asyncio
import time
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from prefect.server.events.ordering import EventArrivedEarly, get_triggers_causal_ordering
from prefect.server.events.schemas.events import ReceivedEvent, Resource
from prefect.settings import PREFECT_SERVER_EVENTS_CAUSAL_ORDERING, temporary_settings

from flows.cli.dev_servers import ENVIRONMENT
from flows.runtime import event_ordering


def look_at_a_crash() -> None:
    """Let the ordering that `atelier up` sets see a run crash, and not what it was before."""
    crash = ReceivedEvent(
        occurred=datetime.now(UTC),
        event="prefect.flow-run.Crashed",
        resource=Resource({"prefect.resource.id": f"prefect.flow-run.{uuid4()}"}),
        id=uuid4(),
        follows=uuid4(),
    )

    async def look() -> None:
        async def again(event: ReceivedEvent, depth: int = 0) -> None: ...

        async with get_triggers_causal_ordering().preceding_event_confirmed(again, crash):
            pass

    with temporary_settings(
        {PREFECT_SERVER_EVENTS_CAUSAL_ORDERING: ENVIRONMENT["PREFECT_SERVER_EVENTS_CAUSAL_ORDERING"]}
    ):
        asyncio.run(look())


def test_a_run_that_crashes_just_after_its_server_was_started_again_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_ordering, "_started", time.monotonic())
    look_at_a_crash()


def test_later_events_are_looked_at_in_the_order_they_happened_in(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_ordering, "_started", time.monotonic() - 2 * event_ordering.SECONDS_TIED)
    with pytest.raises(EventArrivedEarly):
        look_at_a_crash()
