"""A stage in Prefect: its server, the name of its flow run, its artifact, and calling it as a deployment."""

import os
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import httpx
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.events import emit_event
from prefect.runtime import flow_run

from flows.runtime.errors import StageError
from flows.runtime.records import Record, Stage
from gan_models.errors import AtelierError

AnyRecord = TypeVar("AnyRecord", bound=Record)


class PrefectServerError(AtelierError):
    """The Prefect server that is set cannot be used; the message says what to do."""


def check_server() -> str | None:
    """Ask the Prefect server that is set for what a flow run asks for.

    Returns:
        Its address, None where none is set.

    Raises:
        PrefectServerError: it does not answer, wants a password, or is of another major version.
    """
    address = os.environ.get("PREFECT_API_URL")
    if not address:
        return None
    try:
        with get_client(sync_client=True) as client:
            client.read_deployments(limit=1)
            client.raise_for_api_version_mismatch()
    except httpx.HTTPStatusError as error:
        if error.response.status_code in (401, 403):
            raise PrefectServerError(
                f"the server at {address} lets nobody in without a password; set PREFECT_API_AUTH_STRING to it, as "
                "user:password"
            ) from None
        raise PrefectServerError(f"the server at {address} refuses: {error.response.status_code}") from None
    except (httpx.HTTPError, RuntimeError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise PrefectServerError(
                f"the certificate of the server at {address} is of no authority that is known here; set "
                "PREFECT_API_SSL_CERT_FILE to the authority's certificate"
            ) from None
        raise PrefectServerError(
            f"the server at {address} does not answer ({error}); start `atelier up` or unset PREFECT_API_URL"
        ) from None
    return address


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
