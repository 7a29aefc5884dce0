"""`atelier doctor`: what works here, what does not, what to do."""

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable

import httpx
from rich.markup import escape

from flows.config.settings import Settings
from flows.datasets.dvc_remote import check_remote
from flows.datasets.errors import VersioningError
from flows.datasets.git import checked_out
from flows.datasets.upkeep import check_kept
from flows.runtime.progress import console
from flows.tracking.runs import Tracking
from gan_models.errors import AtelierError
from gan_models.escaping import for_terminal

MIN_FREE_GIB = 5


class TroubleError(AtelierError):
    """A check that failed; the message says what to do."""


def examine(settings: Settings) -> bool:
    """Print one line per check.

    Returns:
        Whether everything that is needed works.
    """
    settings.apply()
    checks: dict[str, Callable[[], str]] = {
        "Python": _python,
        "packages": _packages,
        "GPU": _gpu,
        "git": lambda: _git(settings),
        "DVC remote": lambda: check_remote(settings),
        "datasets": lambda: check_kept(settings),
        "MLflow": lambda: _mlflow(settings),
        "Prefect": prefect_server,
        "disk": lambda: _disk(settings),
    }
    healthy = True
    for name, check in checks.items():
        with console.status(f"checking {name}"):
            try:
                said, state = check(), "[green]works [/]"
            except Exception as error:
                healthy = False
                said, state = str(error), "[red]broken[/]"
        console.print(f"{state} {name:<10} {escape(for_terminal(said))}", soft_wrap=True, highlight=False)
    return healthy


def _python() -> str:
    return f"{sys.version.split()[0]} in {sys.prefix}"


def _packages() -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "prefect", "mlflow", "dvc"))


def _gpu() -> str:
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, used without being asked for"
    return f"none, training runs on {torch.get_num_threads()} CPU threads"


def _git(settings: Settings) -> str:
    if shutil.which("git") is None:
        raise TroubleError("git is not installed; DVC and the lineage of models need it")
    try:
        commit = checked_out(settings)
    except VersioningError as error:
        raise TroubleError(f"{error} (without git, models have no commit in their lineage; work in a clone)") from None
    return f"commit {commit[:7]}" + (", with uncommitted changes" if commit.endswith("-dirty") else "")


def _mlflow(settings: Settings) -> str:
    tracking = Tracking(settings)
    tracking.check()
    return tracking.uri if tracking.is_server else f"{tracking.uri}, no server needed"


def prefect_server() -> str:
    """The Prefect server that is set, or that there is none.

    Raises:
        TroubleError: it does not answer.
    """
    address = os.environ.get("PREFECT_API_URL")
    if not address:
        return "no server set; commands start a temporary one (`atelier up` starts one that stays)"
    try:
        httpx.get(f"{address}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        raise TroubleError(
            f"the server at {address} does not answer ({error}); start `atelier up` or unset PREFECT_API_URL"
        ) from None
    return address


def _disk(settings: Settings) -> str:
    free = shutil.disk_usage(settings.state).free / 2**30
    if free < MIN_FREE_GIB:
        raise TroubleError(f"{free:.1f} GiB free for {settings.state}; free some, {MIN_FREE_GIB} GiB are wanted")
    return f"{free:.0f} GiB free"
