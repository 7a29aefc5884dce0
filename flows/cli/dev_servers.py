"""`atelier up`: a Prefect server, an MLflow server, work pools, deployments and workers on this machine."""

import json
import os
import socket
import sys
import time

import httpx

from flows.cli.child_process import ChildProcess, ServerError, stop
from flows.cli.deployments import POOLS, deploy
from flows.cli.server_errors import ServerErrors
from flows.config.settings import Settings
from flows.runtime.grace import WORKER_SECONDS
from flows.runtime.interruption import on_interruption
from flows.runtime.progress import console

STARTUP_SECONDS = 120
SERVER_SECONDS = 20.0  # for a server to end its requests
ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # What the server knows of silent runs and of slots taken outlives it, and this machine's being switched off.
    "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": "P365D",
    "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "flows.runtime.event_ordering",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}


def serve(settings: Settings, port: int) -> None:
    """Run everything until it is asked to end, and start again what dies; then stop all of it.

    Args:
        port: of the Prefect server; MLflow's is the next one. The environment already names both addresses.

    Raises:
        ServerError: a port is taken, or a server does not start.
    """
    for taken in (port, port + 1):
        _refuse_taken(taken)
    addresses = {name: os.environ[name] for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI")}
    on_interruption(_interrupt, _interrupt)
    servers: list[ChildProcess] = []
    workers: list[ChildProcess] = []
    note = settings.state / "up.json"
    try:
        with console.status("starting the Prefect and MLflow servers"):
            servers.append(_start(settings, "Prefect server", _prefect_server(port)))
            servers.append(_start(settings, "MLflow server", _mlflow_server(settings, port + 1)))
            for server, name in zip(servers, addresses, strict=True):
                _wait_until_healthy(f"{addresses[name]}/health", server)
        with console.status("creating work pools, deployments and automations"):
            deploy(settings)
        workers += [_start(settings, f"{pool} worker", _worker(pool)) for pool in POOLS]
        note.write_text(json.dumps({"pid": os.getpid(), "environment": addresses}))
        console.print(f"Prefect  {addresses['PREFECT_API_URL'].removesuffix('/api')}", style="cyan")
        console.print(f"MLflow   {addresses['MLFLOW_TRACKING_URI']}", style="cyan")
        console.print(f"Logs     {settings.state / 'logs'}", style="cyan")
        console.print("Retrain on the workers with `atelier retrain <config> --on-workers`. Ctrl-C stops everything.")
        _watch([*servers, *workers])
    except KeyboardInterrupt:
        console.print("stopping: what runs is asked to end, with a checkpoint (Ctrl-C again: without)")
    finally:
        note.unlink(missing_ok=True)
        stop(workers, WORKER_SECONDS)  # before the servers, to which their flow runs report
        stop(servers, SERVER_SECONDS)


def _prefect_server(port: int) -> list[str]:
    return [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]


def _mlflow_server(settings: Settings, port: int) -> list[str]:
    # Artifacts are not proxied: runs made with and without the server then have the same artifact paths.
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{settings.state / 'mlflow.db'}"),
        *("--default-artifact-root", settings.artifact_root.as_uri(), "--no-serve-artifacts"),
        *("--allowed-hosts", f"127.0.0.1:{port},localhost:{port}"),
    ]


def _worker(pool: str) -> list[str]:
    return [sys.executable, "-m", "flows.cli.main", "worker", "--pool", pool, "--health-port", "0"]


def _start(settings: Settings, name: str, command: list[str]) -> ChildProcess:
    folder = settings.state / "logs"
    folder.mkdir(exist_ok=True)
    log = folder / f"{name.lower().replace(' ', '-')}.log"
    return ChildProcess(name, command, log, settings.root, {**ENVIRONMENT, **os.environ})


def _wait_until_healthy(address: str, server: ChildProcess) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline and server.is_running:
        try:
            if httpx.get(address, timeout=2).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.3)
    raise ServerError(f"no server answered at {address}; its log is {server.log}")


def _watch(children: list[ChildProcess]) -> None:
    """Tell the errors in the logs, and start again what dies, until it is asked to end."""
    logs = [(child, ServerErrors(child.log)) for child in children]
    while True:
        for child, log in logs:
            for error in log.new():
                _say(f"{child.name}: {error}")
            child.tend(_say)
        time.sleep(0.5)


def _say(text: str) -> None:
    console.print(text, style="red", highlight=False, markup=False, soft_wrap=True)


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise ServerError(f"port {port} is in use; choose another with `atelier up --port`")


def _interrupt() -> None:
    raise KeyboardInterrupt
