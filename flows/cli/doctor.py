"""`atelier doctor`: what works here, what does not, what to do."""

import importlib.metadata
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from flows.cli.schedules import lines_of, read_schedules
from flows.cli.workers import read_services
from flows.config.settings import Settings
from flows.datasets.dvc_cache import cache_folder, check_cache
from flows.datasets.dvc_remote import check_remote, default_remote
from flows.datasets.errors import VersioningError
from flows.datasets.git import checked_out
from flows.datasets.remote_mark import check_mark
from flows.datasets.upkeep import check_kept
from flows.runtime.prefect_runs import PrefectServerError, check_server
from flows.runtime.progress import console
from flows.tracking.errors import TrackingError
from flows.tracking.registry import ModelVersion, Registry
from flows.tracking.runs import Tracking
from gan_models.errors import AtelierError
from gan_models.escaping import for_terminal

MIN_FREE_GIB = 5
INDENT = 18  # columns before what a check found


class TroubleError(AtelierError):
    """A check that failed; the message says what to do."""


@dataclass(frozen=True)
class NotTried:
    """Why there was nothing to check; it counts neither way."""

    why: str


def examine(settings: Settings) -> bool:
    """Print what came of each check; a check asks for what the commands will ask for.

    Returns:
        Whether everything that is needed works.
    """
    checks: dict[str, Callable[[], str | NotTried]] = {
        "Python": _python,
        "packages": _packages,
        "GPU": _gpu,
        "git": lambda: _git(settings),
        "DVC remote": lambda: _remote(settings),
        "DVC cache": lambda: check_cache(settings),
        "datasets": lambda: check_kept(settings),
        "MLflow": lambda: _mlflow(settings),
        "champions": lambda: check_champions(settings),
        "Prefect": _prefect,
        "workers": check_workers,
        "schedules": lambda: _schedules(settings),
        "disk": lambda: _disk(settings),
    }
    healthy = True
    for name, check in checks.items():
        with console.status(f"checking {name}"):
            try:
                found, state = check(), "[green]works [/]"
                if isinstance(found, NotTried):
                    found, state = found.why, "[yellow]unset [/]"
            except Exception as error:
                healthy = False
                found, state = str(error), "[red]broken[/]"
        text = "\n".join(escape(for_terminal(line)) for line in found.split("\n")).replace("\n", f"\n{' ' * INDENT}")
        console.print(f"{state} {name:<10} {text}", soft_wrap=True, highlight=False)
    return healthy


def _python() -> str:
    return f"{sys.version.split()[0]} in {sys.prefix}"


def _packages() -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "prefect", "mlflow", "dvc"))


def _gpu() -> str:
    import torch

    if torch.cuda.is_available():
        torch.ones(1, device="cuda").add_(1).item()
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


def _remote(settings: Settings) -> str:
    found = check_remote(settings)
    tracking = Tracking(settings)
    with suppress(TrackingError):  # which is told of below
        tracking.check()
        check_mark(settings, tracking)
    return found


def _mlflow(settings: Settings) -> str:
    tracking = Tracking(settings)
    tracking.check()
    return tracking.uri if tracking.is_server else f"{tracking.uri}, no server needed"


def check_champions(settings: Settings) -> str | NotTried:
    """Return which version of each model is champion, after fetching and loading it.

    Raises:
        TroubleError: a model has lost its champion, or a champion cannot be had as it was registered.
    """
    tracking = Tracking(settings)
    try:
        tracking.check()
    except TrackingError:
        return NotTried("not looked for, because MLflow cannot be asked")
    registry = Registry(tracking)
    found: list[str] = []
    lost: list[str] = []
    for name in registry.models():
        champion = registry.at(name, "champion")
        if champion is None:
            had_one = any(version.tags.get("decision") == "promoted" for version in registry.versions(name))
            (lost if had_one else found).append(f"{name} has " + ("lost its champion" if had_one else "none yet"))
        elif why := _why_not_whole(registry, champion):
            lost.append(f"{name} version {champion.version} cannot be served ({why})")
        else:
            found.append(f"{name} version {champion.version}")
    if lost:
        raise TroubleError(f"{'; '.join(lost)}: `atelier retrain` with the config of each makes it good")
    return ", ".join(found) or NotTried("no model is registered yet")


def _why_not_whole(registry: Registry, champion: ModelVersion) -> str | None:
    if not registry.has_files(champion.logged_model_id):
        return "its files are gone from MLflow"
    from gan_models.bundles.bundle import load_bundle  # and PyTorch with it

    try:
        digest = load_bundle(registry.fetch_bundle(champion.logged_model_id)).digest
    except AtelierError as error:
        return str(error)
    return None if digest == champion.tags.get("bundle_digest") else "its files are not those that were registered"


def _prefect() -> str | NotTried:
    address = check_server()
    return address or NotTried("no server set; commands start a temporary one (`atelier up` starts one that stays)")


def check_workers() -> str | NotTried:
    """Return who serves each work pool.

    Raises:
        TroubleError: of one of them nobody does, or it is paused.
    """
    try:
        if check_server() is None:
            return NotTried("none without a Prefect server")
    except PrefectServerError:
        return NotTried("not looked for, because the Prefect server cannot be asked")
    services = read_services()
    lines = "\n".join(map(str, services))
    if any(service.trouble for service in services):
        raise TroubleError(lines)
    return lines or NotTried("no deployment names a work pool; `atelier deploy` makes deployments")


def _schedules(settings: Settings) -> str | NotTried:
    if check_server() is None:
        return NotTried("nothing runs by itself without a Prefect server and its workers; `atelier up` starts them")
    schedules = read_schedules()
    lines = "\n".join(lines_of(settings, schedules))
    if any(schedule.trouble for schedule in schedules):
        raise TroubleError(lines)
    return lines


def _disk(settings: Settings) -> str:
    places = [settings.state, cache_folder(settings)]
    remote = default_remote(settings)
    places += [] if remote.is_s3 else [Path(remote.url)]
    existing = [next(folder for folder in (place, *place.parents) if folder.exists()) for place in places]
    disks = {folder.stat().st_dev: folder for folder in reversed(existing)}
    free = {folder: shutil.disk_usage(folder).free / 2**30 for folder in disks.values()}
    full = [f"{left:.1f} GiB free for {place}" for place, left in free.items() if left < MIN_FREE_GIB]
    if full:
        raise TroubleError(f"{', '.join(full)}; free some, {MIN_FREE_GIB} GiB are wanted")
    return ", ".join(f"{left:.0f} GiB free for {place}" for place, left in free.items())
