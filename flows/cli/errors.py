"""Errors of the command line: its own, and how others are told."""

from collections.abc import Iterator

from gan_models.errors import AtelierError, is_mendable
from gan_models.text import one_line


class UsageError(AtelierError):
    """A command that cannot do what its arguments ask for, here and now; the message says what to give instead."""


def in_one_line(error: Exception) -> str | None:
    """Return what a person has to know of an error that they can mend; None of a bug, which needs its traceback."""
    if is_mendable(error):
        return one_line(error)
    if _is_refused_by_mlflow(error):
        return (
            f"MLflow refuses that to these credentials: {one_line(error, 300)}; ask for the right, or set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, of who has it"
        )
    if any(map(_is_of_a_network, _causes(error))):
        return f"a server did not answer: {one_line(error, 300)}; start it, then run the same command again to go on"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what it was made of, which MLflow does not say: it raises its own in handling another."""
    while error is not None:
        yield error
        is_mlflow = type(error).__module__.startswith("mlflow.")
        error = error.__cause__ or (error.__context__ if is_mlflow else None)


def _is_of_a_network(error: BaseException) -> bool:
    import httpx

    is_of_mlflow = isinstance(error, OSError) and type(error).__module__.startswith("requests.")
    return is_of_mlflow or isinstance(error, ConnectionError | httpx.TransportError)


def _is_refused_by_mlflow(error: Exception) -> bool:
    code = getattr(error, "error_code", None) if type(error).__module__.startswith("mlflow.") else None
    return code in ("CUSTOMER_UNAUTHORIZED", "UNAUTHENTICATED", "PERMISSION_DENIED")
