"""The way to MLflow: its client, and plain HTTP for questions that must not take seconds.

With `runs.py` and `registry.py` the only code that talks to MLflow. Importing MLflow takes seconds, so it happens
when something is written; the question whether there is anything to do is put to a server over plain HTTP.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import httpx

from flows.config.settings import Settings
from gan_models.errors import AtelierError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.entities import PagedList


Found = TypeVar("Found")


class TrackingError(AtelierError):
    """MLflow cannot be reached or does not have what was asked for; the message says what to do."""


def every_page(search: Callable[[str | None], "PagedList[Found]"]) -> Iterator[Found]:
    """Yield all that a listing of MLflow's client holds, whose pages are fetched as they are needed.

    Args:
        search: gives the page of a token, the first one of None.
    """
    token = None
    while True:
        page = search(token)
        yield from page
        token = page.token
        if not token:
            return


class MlflowConnection:
    """A connection to a server, or to the SQLite database under `.atelier/`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.uri = settings.mlflow_tracking_uri

    @property
    def is_server(self) -> bool:
        """Return whether MLflow is asked over HTTP."""
        return self.uri.startswith("http")

    @cached_property
    def client(self) -> "MlflowClient":
        """Return MLflow's client; importing it takes seconds."""
        from mlflow import MlflowClient, set_tracking_uri

        set_tracking_uri(self.uri)
        return MlflowClient(self.uri)

    def check(self) -> None:
        """Raise a TrackingError that names the address if the server does not answer a question of those to come."""
        if self.is_server:
            self.ask("GET", "experiments/search", {"max_results": 1})

    def ask(self, method: Literal["GET", "POST"], call: str, content: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer to a call of MLflow's REST interface; None where what it asks for does not exist.

        Raises:
            TrackingError: the server cannot be reached or refuses.
        """
        address = f"{self.uri}/api/2.0/mlflow/{call}"
        try:
            if method == "GET":
                answer = httpx.get(address, params=content, timeout=30)
            else:
                answer = httpx.post(address, json=content, timeout=30)
        except httpx.HTTPError as error:
            raise TrackingError(
                f"the MLflow server at {self.uri} does not answer ({error or type(error).__name__}); "
                "start it (`atelier up` starts one here) or unset MLFLOW_TRACKING_URI"
            ) from None
        if answer.is_success:
            return dict(answer.json())
        if "RESOURCE_DOES_NOT_EXIST" in answer.text or "not found" in answer.text:
            return None
        raise TrackingError(f"the MLflow server at {self.uri} refused {call}: {answer.status_code} {answer.text[:200]}")
