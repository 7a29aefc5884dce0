"""A stage in Prefect: the name of its flow run, its artifact, and calling it as a deployment."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.events import emit_event
from prefect.runtime import flow_run

from flows.runtime.errors import StageError
from flows.runtime.records import Record, Stage

AnyRecord = TypeVar("AnyRecord", bound=Record)


def flow_run_id() -> str | None:
    """Return the id of the flow run that this code runs in, None outside of one."""
    return str(flow_run.id) if flow_run.id else None


def name_flow_run(name: str) -> None:
    """Give the current flow run a name that says what it is about, such as `train digits-generator 1a2b3c4`."""
    if flow_run.id:
        with get_client(sync_client=True) as client:
            client.update_flow_run(UUID(flow_run.id), name=name)


def leave_artifact(key: str, text: str, description: str) -> None:
    """Leave Markdown on the current flow run; do nothing outside of one."""
    if flow_run.id:
        create_markdown_artifact(text, key=key.replace("_", "-"), description=description)


def announce(event: str, resource_id: str, resource_name: str, payload: dict[str, Any]) -> None:
    """Emit an event for automations; do nothing outside of a flow run, where Prefect would start a server for it."""
    if flow_run.id:
        resource = {"prefect.resource.id": resource_id, "prefect.resource.name": resource_name}
        emit_event(event, resource=resource, payload=payload)


def call_deployment(
    stage: Stage,
    fingerprint: str,
    parameters: dict[str, Any],
    timeout_seconds: float,
    find: Callable[[], AnyRecord | None],
) -> AnyRecord:
    """Run a stage as a flow run of its own deployment and wait for it.

    The idempotency key makes a retried parent find the run it had submitted instead of submitting a second one.

    Args:
        find: reads the record that the stage leaves in MLflow.

    Raises:
        StageError: the flow run ended in any state but Completed, or left no record.
    """
    run = run_deployment(
        f"{stage}/{stage}",
        parameters=parameters,
        timeout=timeout_seconds,
        idempotency_key=f"{flow_run.id}:{stage}:{fingerprint}:{flow_run.run_count}",
    )
    assert isinstance(run, FlowRun)
    if run.state is None or not run.state.is_completed():
        state = run.state.name if run.state else "unknown"
        why = run.state.message if run.state and run.state.message else "see its log in the Prefect UI"
        raise StageError(f"stage {stage} ended as {state} in flow run '{run.name}': {why}")
    record = find()
    if record is None:
        raise StageError(f"stage {stage} completed in flow run '{run.name}' but left no finished run in MLflow")
    return record
