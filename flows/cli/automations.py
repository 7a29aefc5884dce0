"""What the Prefect server does by itself about flow runs whose process, worker or machine died without a word."""

from datetime import timedelta

from prefect.automations import AutomationCore, ChangeFlowRunState, EventTrigger, Posture, ResourceSpecification
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.schemas.automations import Automation

from flows.config.settings import Settings
from flows.runtime.deployments import TAG

HEARTBEAT = "prefect.flow-run.heartbeat"
PENDING, RUNNING, CANCELLING, CRASHED = (
    f"prefect.flow-run.{name}" for name in ("Pending", "Running", "Cancelling", "Crashed")
)
ENDS = {CRASHED, *(f"prefect.flow-run.{name}" for name in ("Completed", "Failed", "Cancelled", "TimedOut"))}
QUEUED = {f"prefect.flow-run.{name}" for name in ("Scheduled", "AwaitingRetry", "AwaitingConcurrencySlot")}
OF_OURS = ResourceSpecification({"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"})
OF_A_DEPLOYMENT = ResourceSpecification({"prefect.resource.role": "deployment"})
SECONDS_OF_REST = 10.0  # after a crash; the least that Prefect waits for what does not come
SECONDS_TO_START = 600.0  # of a worker, for a flow run it has taken: an image may have to be pulled


def wanted(settings: Settings) -> list[AutomationCore]:
    """Return the automations that end and repeat what was lost."""
    silence, most = settings.silence_seconds, settings.max_attempts
    return [
        AutomationCore(
            name="atelier: a run without a heartbeat has crashed",
            description=f"Its process or machine is gone, where nothing was heard of it for {silence:g} s.",
            trigger=_missing({HEARTBEAT}, {HEARTBEAT, CANCELLING, *ENDS}, silence),
            actions=[_crash(silence)],
        ),
        AutomationCore(
            name="atelier: a run on a worker without a first heartbeat has crashed",
            description=f"Its process or machine was gone at once, where none came within {silence:g} s.",
            trigger=_missing({RUNNING}, {HEARTBEAT, CANCELLING, *ENDS}, silence, deployed=True),
            actions=[_crash(silence)],
        ),
        AutomationCore(
            name="atelier: a crashed run is begun again",
            description=f"Until it was begun {most} times (ATELIER_MAX_ATTEMPTS).",
            # Reacting to the crash itself would do it twice: an event is handled again where the database was busy.
            trigger=_missing({CRASHED}, {RUNNING, *QUEUED}, SECONDS_OF_REST, deployed=True, attempts=most - 1),
            actions=[_queue_again(f"It crashed, and is begun {most} times at most.")],
        ),
        AutomationCore(
            name="atelier: a run that is being cancelled where nobody hears it is cancelled",
            description="Its worker is gone, or it would have ended it.",
            trigger=_missing({CANCELLING}, ENDS, silence),
            actions=[ChangeFlowRunState(state=StateType.CANCELLED, message="Cancelled; its worker is gone.")],
        ),
        AutomationCore(
            name="atelier: a run that its worker took and did not start goes back to the queue",
            description=f"Its worker is gone, where a run is Pending for {SECONDS_TO_START:g} s.",
            trigger=_missing({PENDING}, {CANCELLING, RUNNING, *ENDS, *QUEUED}, SECONDS_TO_START, deployed=True),
            actions=[_queue_again("Its worker did not start it.")],
        ),
    ]


def keep_automation(client: SyncPrefectClient, automation: AutomationCore) -> str:
    """Make the server have an automation as it is wanted, once; one that a person switched off stays off.

    Returns:
        What was done, in a word.
    """
    existing = client.read_automations_by_name(automation.name)
    if not existing:
        client.create_automation(automation)
        return "created"
    first, *copies = existing
    for copy in copies:
        client.delete_automation(copy.id)
    automation = automation.model_copy(update={"enabled": automation.enabled and first.enabled})
    if _content(first) == _content(automation) and not copies:
        return "is there" if first.enabled else "is switched off"
    client.update_automation(first.id, automation)
    return "updated"


def _missing(
    after: set[str], expected: set[str], seconds: float, *, deployed: bool = False, attempts: int | None = None
) -> EventTrigger:
    """Return a trigger for events that are not followed by what is expected, each run for itself.

    Args:
        deployed: for runs of a deployment alone; others can't be queued again.
        attempts: how many may have been begun.
    """
    runs: dict[str, str | list[str]] = {"prefect.resource.id": "prefect.flow-run.*"}
    if attempts is not None:
        runs["prefect.run-count"] = [str(number) for number in range(1, attempts + 1)] or ["none"]
    return EventTrigger(
        after=after,
        expect=expected,
        for_each={"prefect.resource.id"},
        match=ResourceSpecification(runs),
        match_related=[OF_OURS, OF_A_DEPLOYMENT] if deployed else OF_OURS,
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=seconds),
    )


def _crash(silence: float) -> ChangeFlowRunState:
    message = f"No heartbeat for {silence:g} s: its process or machine is gone."
    return ChangeFlowRunState(state=StateType.CRASHED, message=message)


def _queue_again(message: str) -> ChangeFlowRunState:
    return ChangeFlowRunState(state=StateType.SCHEDULED, name="AwaitingRetry", message=message)


def _content(automation: AutomationCore | Automation) -> dict[str, object]:
    fields = {"name", "description", "enabled", "trigger", "actions"}
    return automation.model_dump(include=fields, exclude={"trigger": {"id"}})
