"""`atelier up`: a Prefect server, an MLflow server, work pools, deployments and workers on this machine."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import httpx

from flows.cli.server_errors import ServerErrors
from flows.config.settings import Settings
from flows.runtime.progress import console
from gan_models.errors import AtelierError

STARTUP_SECONDS = 120
STOP_SECONDS = 30  # for a flow run to end its training process with a checkpoint
POOLS: dict[str, int | None] = {"cpu": None, "gpu": 1}  # name, and how many runs at once


class ServerError(AtelierError):
    """A server that could not be started or that ended; the message says where to look or what to choose."""


def serve(settings: Settings, port: int) -> None:
    """Run everything until Ctrl-C, SIGTERM, or the death of one of the servers; then stop all of it.

    Args:
        port: of the Prefect server; MLflow's is the next one. The environment already names both addresses.

    Raises:
        ServerError: a port is taken, or a server does not start.
    """
    for taken in (port, port + 1):
        _refuse_taken(taken)
    addresses = {name: os.environ[name] for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI")}
    for number in (signal.SIGTERM, signal.SIGINT):  # a background job ignores SIGINT, and so would its children
        signal.signal(number, _interrupt)
    children: dict[str, subprocess.Popen[bytes]] = {}
    note = settings.state / "up.json"
    try:
        with console.status("starting the Prefect and MLflow servers"):
            children["Prefect server"] = _start(settings, "Prefect server", _prefect_server(port))
            children["MLflow server"] = _start(settings, "MLflow server", _mlflow_server(settings, port + 1))
            _wait_until_healthy(f"{addresses['PREFECT_API_URL']}/health", children["Prefect server"], settings)
            _wait_until_healthy(f"{addresses['MLFLOW_TRACKING_URI']}/health", children["MLflow server"], settings)
        with console.status("creating work pools and deployments"):
            _create_pools()
            _deploy(settings)
        for pool in POOLS:
            command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
            children[f"{pool} worker"] = _start(settings, f"{pool} worker", command)
        note.write_text(json.dumps({"pid": os.getpid(), "environment": addresses}))
        console.print(f"Prefect  {addresses['PREFECT_API_URL'].removesuffix('/api')}", style="cyan")
        console.print(f"MLflow   {addresses['MLFLOW_TRACKING_URI']}", style="cyan")
        console.print(f"Logs     {settings.state / 'logs'}", style="cyan")
        console.print("Retrain on the workers with `atelier retrain <config> --on-workers`. Ctrl-C stops everything.")
        _watch(children, settings)
    except KeyboardInterrupt:
        console.print("stopping")
    finally:
        note.unlink(missing_ok=True)
        _stop(children)


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


def _start(settings: Settings, name: str, command: list[str]) -> subprocess.Popen[bytes]:
    log = _log(settings, name)
    with log.open("wb") as stream:
        return subprocess.Popen(
            command,
            cwd=settings.root,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,  # Ctrl-C is for this process, which stops the others in order
            env={
                "PREFECT_WORKER_QUERY_SECONDS": "2",  # a person is waiting; the default of 10 is for fleets
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                **os.environ,
            },
        )


def _log(settings: Settings, name: str) -> Path:
    folder = settings.state / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{name.lower().replace(' ', '-')}.log"


def _wait_until_healthy(address: str, server: subprocess.Popen[bytes], settings: Settings) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(address, timeout=2).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.3)
    raise ServerError(f"no server answered at {address}; its log is in {settings.state / 'logs'}")


def _create_pools() -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate

    with get_client(sync_client=True) as client:
        for name, limit in POOLS.items():
            client.create_work_pool(WorkPoolCreate(name=name, type="process", concurrency_limit=limit), overwrite=True)


def _deploy(settings: Settings) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, cwd=settings.root, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    _log(settings, "deployments").write_text(done.stdout + done.stderr)
    if done.returncode:
        raise ServerError(f"the deployments could not be created; see {_log(settings, 'deployments')}")


def _watch(children: dict[str, subprocess.Popen[bytes]], settings: Settings) -> None:
    """Tell the errors in the logs, until a child ends."""
    logs = {name: ServerErrors(_log(settings, name)) for name in children}
    while True:
        for name, child in children.items():
            for error in logs[name].new():
                console.print(f"{name}: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
            if child.poll() is not None:
                raise ServerError(f"the {name} ended with code {child.returncode}; see {settings.state / 'logs'}")
        time.sleep(0.5)


def _stop(children: dict[str, subprocess.Popen[bytes]]) -> None:
    """Stop workers before the servers that their flow runs report to; whole process groups, so that nothing is left."""
    workers = [child for name, child in children.items() if name.endswith("worker")]
    servers = [child for child in children.values() if child not in workers]
    for group in (workers, servers):
        for child in group:
            _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(child.poll() is None for child in group) and time.monotonic() < deadline:
            time.sleep(0.1)
        for child in group:
            _signal(child, signal.SIGKILL)
            child.wait()


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise ServerError(f"port {port} is in use; choose another with `atelier up --port`")


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
