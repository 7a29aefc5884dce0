"""The way to MLflow: its own client, which alone knows passwords, tokens, certificates and proxies.

With `runs.py` and `registry.py` the only code that talks to MLflow. Importing MLflow takes a second, so it happens when
a question is put to it.
"""

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from flows.config.settings import Settings
from flows.tracking.artifact_paths import follow_project
from flows.tracking.bounded_client import TRANSFER_SECONDS, BoundedClient, answered, why_silent
from flows.tracking.errors import TrackingError
from gan_models.text import one_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.entities import PagedList
    from mlflow.utils.rest_utils import MlflowHostCreds


CHECK_SECONDS = 60.0  # for the one request that a stage begins with

Found = TypeVar("Found")
Result = TypeVar("Result")


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
        client = MlflowClient(self.uri)
        return cast(MlflowClient, BoundedClient(client, self.uri)) if self.is_server else client

    def transfer(self, call: Callable[[], Result]) -> Result:
        """Return what a call returns that sends files to MLflow or fetches some by other ways than the client.

        Raises:
            TrackingError: the server does not answer, or takes more than an hour.
        """
        return answered(self.uri, TRANSFER_SECONDS, call) if self.is_server else call()

    def check(self) -> None:
        """Ask the server once what a stage asks, with the credentials of a stage; let a database follow its project.

        Raises:
            ArtifactPathError: the database was copied without its artifacts.
            TrackingError: it does not answer, or lets nobody in without a password; the message names the address.
        """
        if not self.is_server:
            if self.uri == self.settings.local_mlflow:
                follow_project(self.settings)
            return
        from mlflow.exceptions import MlflowException
        from mlflow.utils.rest_utils import http_request

        asked: dict[str, Any] = {"params": {"max_results": 1}, "max_retries": 0, "raise_on_status": False}
        shown = self._credentials()
        ask = partial(http_request, shown, "/api/2.0/mlflow/experiments/search", "GET", **asked)
        try:
            answer = answered(self.uri, CHECK_SECONDS, ask)
        except MlflowException as error:  # an address that is none
            raise TrackingError(why_silent(self.uri, error)) from None
        if answer.status_code in (401, 403):
            raise TrackingError(f"the MLflow server at {self.uri} lets nobody in {_in_words(shown)}")
        if not answer.ok:
            said = f"{answer.status_code} {one_line(answer.text, 200)}"
            raise TrackingError(f"the MLflow server at {self.uri} cannot be used: it answers {said}")

    def _credentials(self) -> "MlflowHostCreds":
        from mlflow.exceptions import MlflowException
        from mlflow.utils.credentials import get_default_host_creds

        try:
            credentials: MlflowHostCreds = get_default_host_creds(self.uri)
        except MlflowException as error:  # two that exclude each other
            raise TrackingError(f"what is set for MLflow cannot be used: {one_line(error)}") from None
        return credentials


def _in_words(shown: "MlflowHostCreds") -> str:
    if shown.username and shown.password:
        return f"as {shown.username} with this password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD anew"
    if shown.token:
        return "with this token; set MLFLOW_TRACKING_TOKEN anew"
    return "without a password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
