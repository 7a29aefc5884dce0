"""What a flow tells Prefect of its run: name, tags, artifact, where its records are, and why it failed."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

import httpx
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.states import Failed

from flows.runtime.progress import echo
from flows.runtime.records import Record, Stage
from gan_models.errors import AtelierError, is_mendable
from gan_models.text import one_line

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


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


def tag_flow_run(tags: Iterable[str]) -> None:
    """Add tags to the current flow run, besides those that it has; do nothing outside of one."""
    if flow_run.id:
        with get_client(sync_client=True) as client:
            client.update_flow_run(UUID(flow_run.id), tags=sorted({*flow_run.tags, *tags}))


def leave_records(records: Mapping[Stage, Record]) -> None:
    """Say on the current flow run which MLflow runs hold the records of stages; do nothing outside of one.

    Labels are the one thing of a flow run that its caller sees from another machine: results lie on a disk.
    """
    if flow_run.id:
        with get_client(sync_client=True) as client:
            client.update_flow_run_labels(
                UUID(flow_run.id),
                {
                    f"atelier.{stage}.{name}": value
                    for stage, record in records.items()
                    for name, value in record.model_dump(include={"run_id", "skipped", "seconds"}).items()
                },
            )


def in_one_sentence(stage: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let a flow that fails for a reason that a person can mend end with that sentence as its state's message.

    Whoever calls the flow gets the error as always; Prefect's own message begins with words of its own. Where the flow
    run was begun again meanwhile, this process ends without a word: how it ends is for the newer attempt to say.
    """

    @functools.wraps(stage)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        begun = _times_begun()
        try:
            return stage(*args, **kwargs)
        except BaseException as error:
            if 0 < begun < _times_begun():
                echo(f"this attempt ends, as its flow run was begun again: {one_line(error)}")
                os._exit(0)  # any other code, and the worker would report a crash
            if isinstance(error, Exception) and flow_run.id and is_mendable(error):
                return cast(Result, Failed(message=one_line(error), data=error))
            raise

    return run


def _times_begun() -> int:
    """Return how often the flow run was begun that this process was started for; 0 where that is not known."""
    started_for = os.environ.get("PREFECT__FLOW_RUN_ID")
    if not started_for:
        return 0
    with contextlib.suppress(httpx.HTTPError), get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(started_for)).run_count
    return 0
