"""A Prefect server that runs on this machine, asked by its port, as its page and its triggers ask it."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
import pytest

PATIENCE_SECONDS = 300
T = TypeVar("T")


def ask(port: int, method: str, call: str, content: dict[str, object] | None = None) -> httpx.Response:
    """Return the answer to a call of its API."""
    address = f"http://127.0.0.1:{port}/api/{call}"
    while (answer := httpx.request(method, address, json=content, timeout=30)).status_code == 503:
        time.sleep(0.5)  # its database is busy, and Prefect's own client asks again too
    return answer.raise_for_status()


def api(port: int, call: str, content: dict[str, object] | None = None) -> list[dict[str, Any]]:
    """Return the first page of a listing."""
    return list(ask(port, "POST", f"{call}/filter", content or {}).json())


def deployments(port: int) -> dict[str, dict[str, Any]]:
    """Return the deployments by the names of their flow and their model."""
    flows = {row["id"]: row["name"] for row in api(port, "flows")}
    return {f"{flows[row['flow_id']]}/{row['name']}": row for row in api(port, "deployments")}


def submit(port: int, name: str, **parameters: object) -> str:
    """Submit a flow run of a deployment, as a trigger does, and return its id."""
    content: dict[str, object] = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    call = f"deployments/{deployments(port)[name]['id']}/create_flow_run"
    return str(ask(port, "POST", call, content).json()["id"])


def runs_of(port: int, name: str) -> list[dict[str, Any]]:
    """Return the flow runs of a deployment that have begun, the first one first."""
    condition = {"deployment_id": {"any_": [deployments(port)[name]["id"]]}, "start_time": {"is_null_": False}}
    return api(port, "flow_runs", {"flow_runs": condition, "sort": "START_TIME_ASC"})


def ended(port: int, run_id: str) -> bool:
    """Return whether a flow run is in a final state."""
    state = ask(port, "GET", f"flow_runs/{run_id}").json()["state_type"]
    return state in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def wait_for(what: Callable[[], T | None], name: str) -> T:
    """Return what a server makes in its own time."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.5)
    pytest.fail(f"no {name} within {PATIENCE_SECONDS} seconds")
