"""MLflow's client with an end to each call: the time limits of its own are for each read, and none is for an answer."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from flows.runtime.deadline import within
from flows.tracking.errors import TrackingError
from gan_models.text import one_line

if TYPE_CHECKING:
    from mlflow import MlflowClient

CALL_SECONDS = 300.0  # with all attempts: six of 30 seconds and a minute of pauses, as `Settings.environment` has it
TRANSFER_SECONDS = 3600.0  # for the files of a model or an evaluation
_WITHOUT_AN_ANSWER = {"ConnectionError", "Timeout", "ChunkedEncodingError", "RetryError"}  # of `requests`, MLflow's way
_TRANSFERS = ("log_artifact", "log_artifacts", "log_model_artifact")

Result = TypeVar("Result")


class BoundedClient:
    """Whatever MLflow's client does, each call of it within a time limit."""

    def __init__(self, client: "MlflowClient", uri: str) -> None:
        self._client = client
        self._uri = uri

    def __getattr__(self, name: str) -> Callable[..., object]:
        """Return a method of the client."""
        method = getattr(self._client, name)

        def call(*args: object, **options: object) -> object:
            seconds = TRANSFER_SECONDS if name in _TRANSFERS else CALL_SECONDS
            return answered(self._uri, seconds, lambda: method(*args, **options))

        return call


def answered(uri: str, seconds: float, call: Callable[[], Result]) -> Result:
    """Return what a call to an MLflow server returns; what the server itself answers, errors too, is passed on.

    Raises:
        TrackingError: the server does not answer, or not within so many seconds; the message names it.
    """
    try:
        return within(seconds, call)
    except TimeoutError:
        raise TrackingError(
            f"the MLflow server at {uri} has not answered within {seconds:g} s; "
            "see that it is well, then run again to go on"
        ) from None
    except Exception as error:
        if not _is_of_the_network(error):
            raise
        raise TrackingError(why_silent(uri, error)) from None


def why_silent(uri: str, error: Exception) -> str:
    """Return what is the matter with a server that did not answer, and what to do."""
    cause = one_line(error.__cause__ or error.__context__ or error, 300)
    if "CERTIFICATE_VERIFY_FAILED" in cause:
        return (
            f"the certificate of the MLflow server at {uri} is of no authority that is known here; "
            "set MLFLOW_TRACKING_SERVER_CERT_PATH, or REQUESTS_CA_BUNDLE, to the authority's certificate"
        )
    if re.search("too many 5[0-9]+ error responses", cause):
        return (
            f"the MLflow server at {uri} fails whenever it is asked ({cause}): its log says why; "
            "the disk that it, or the storage behind it, writes to may be full"
        )
    return (
        f"the MLflow server at {uri} does not answer ({cause}); "
        "start it (`atelier up` starts one here) or unset MLFLOW_TRACKING_URI"
    )


def _is_of_the_network(error: BaseException | None) -> bool:
    """Return whether an error came of a request without an answer; MLflow raises its own while it handles that."""
    while error is not None:
        kinds = {kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "requests.exceptions"}
        if kinds & _WITHOUT_AN_ANSWER:
            return True
        is_mlflow = type(error).__module__.startswith("mlflow.")
        error = error.__cause__ or (error.__context__ if is_mlflow else None)
    return False
