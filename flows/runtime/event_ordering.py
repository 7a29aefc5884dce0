"""In which order a Prefect server looks at events for its automations: `PREFECT_SERVER_EVENTS_CAUSAL_ORDERING`."""

import time

from prefect.server.events.ordering.memory import CausalOrdering as _CausalOrdering
from prefect.server.events.schemas.events import ReceivedEvent

SECONDS_TIED = 300.0  # after a state of a run, in which Prefect ties the next one to it
_started = time.monotonic()


class CausalOrdering(_CausalOrdering):
    """Prefect's own, without waiting for what it has seen before it was started.

    It knows that in memory alone. A run that crashed just after its server was started again would be noticed a quarter
    of an hour later, when its state before is taken for lost.
    """

    async def wait_for_leader(self, event: ReceivedEvent) -> None:
        """Wait for the event that an event follows, where that can still come.

        Raises:
            EventArrivedEarly: it was not seen yet.
        """
        is_new = time.monotonic() - _started < SECONDS_TIED
        if not is_new or event.follows is None or await self.event_has_started_processing(event.follows):
            await super().wait_for_leader(event)
