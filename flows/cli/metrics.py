"""`atelier metrics`: what Prometheus asks for, over HTTP, until it is stopped."""

import os
from threading import Event

from prometheus_client import CollectorRegistry, start_http_server

from flows.cli.errors import UsageError
from flows.config.settings import Settings
from flows.monitoring.exporter import Exporter, Source
from flows.monitoring.models import model_values
from flows.monitoring.runs import run_values
from flows.runtime.progress import echo


def serve(settings: Settings, host: str, port: int) -> None:
    """Answer Prometheus at /metrics until Ctrl-C or SIGTERM.

    Raises:
        UsageError: the port cannot be listened on.
    """
    sources: dict[str, Source] = {"mlflow": lambda: model_values(settings)}
    if os.environ.get("PREFECT_API_URL"):
        sources["prefect"] = run_values
    registry = CollectorRegistry()
    registry.register(Exporter(sources, {"state": settings.state, "project": settings.root}))
    try:
        start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise UsageError(f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port") from None
    echo(f"metrics   http://{host}:{port}/metrics of {' and '.join(sources)}")
    Event().wait()
