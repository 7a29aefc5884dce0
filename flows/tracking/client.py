"""The way to MLflow: its own client, which alone knows passwords, tokens, certificates and proxies.

With `runs.py` and `registry.py` the only code that talks to MLflow. Importing MLflow takes a second, so it happens when
a question is put to it.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from flows.config.settings import Settings
from flows.tracking.artifact_paths import follow_project
from gan_models.errors import AtelierError
from gan_models.text import one_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.entities import PagedList
    from mlflow.utils.rest_utils import MlflowHostCreds


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
        try:
            answer = http_request(shown, "/api/2.0/mlflow/experiments/search", "GET", **asked)
        except MlflowException as error:
            raise TrackingError(self._why_silent(error)) from None
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

    def _why_silent(self, error: Exception) -> str:
        cause = one_line(error.__cause__ or error.__context__ or error, 300)
        if "CERTIFICATE_VERIFY_FAILED" in cause:
            return (
                f"the certificate of the MLflow server at {self.uri} is of no authority that is known here; "
                "set MLFLOW_TRACKING_SERVER_CERT_PATH, or REQUESTS_CA_BUNDLE, to the authority's certificate"
            )
        return (
            f"the MLflow server at {self.uri} does not answer ({cause}); "
            "start it (`atelier up` starts one here) or unset MLFLOW_TRACKING_URI"
        )


def _in_words(shown: "MlflowHostCreds") -> str:
    if shown.username and shown.password:
        return f"as {shown.username} with this password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD anew"
    if shown.token:
        return "with this token; set MLFLOW_TRACKING_TOKEN anew"
    return "without a password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
