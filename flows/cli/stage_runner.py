"""What every command that runs a stage does first, and running one stage alone.

Imports are made where they are needed: Prefect and MLflow take seconds.
"""

import importlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.errors import UsageError
from flows.config.settings import Settings

if TYPE_CHECKING:
    from flows.runtime.records import Record

Config = Annotated[Path, typer.Argument(help="the model's config file, such as configs/digits-generator.yaml")]


def run_stage(stage: str, config: Path) -> None:
    """Run one stage alone, and print what came of it."""
    (name,) = checked_paths([config])
    prepare()
    check_prefect()
    from flows.runtime.progress import console

    flow: Callable[[str], Record] = getattr(importlib.import_module(f"flows.{stage}"), stage)
    with as_command():
        record = flow(name)
    state = "skipped, nothing new" if record.skipped else "done"
    console.print(f"[bold]{stage}[/] {state} in {record.seconds:.1f} s, MLflow run {record.run_id}")


def dry_run(config: Path) -> None:
    """Print what training would do with a config, and end with the trainer's exit code where it is not 0."""
    (name,) = checked_paths([config])
    prepare()
    code = importlib.import_module("flows.train").dry_run(name)
    if code:
        raise typer.Exit(code)


def checked_paths(configs: list[Path], *, with_sources: bool = True) -> list[str]:
    """Refuse bad configs, and sources and files that are not there, before a server is started for them.

    Returns:
        Their paths relative to the project, as deployments know them; absolute where they lie elsewhere.
    """
    from flows.config.model_config import named_files, read_model_config
    from flows.sources.open import open_source

    settings = Settings()
    names = [_project_path(settings, config) for config in configs]
    for name in names:
        config = read_model_config(settings.root / name)
        for source in config.dataset.sources if with_sources else ():
            open_source(source, settings.root, settings.download_folder)
        for key, path in named_files(config).items():
            if not (settings.root / path).is_file():
                raise UsageError(f"{key} is {path}, and there is no such file in {settings.root}")
    return names


def prepare(needs_server: str | None = None) -> None:
    """Set the environment that Prefect and MLflow read when they are imported.

    Args:
        needs_server: why the command needs a Prefect server that stays; None where it does not.

    Raises:
        UsageError: it does, and none is set; that is told before anything is imported.
    """
    Settings().apply()
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    if not os.environ.get("PREFECT_API_URL"):
        if needs_server:
            raise UsageError(f"{needs_server}: start `atelier up`, or set PREFECT_API_URL")
        # Prefect's temporary server takes seconds to start, and so does this import: better side by side.
        threading.Thread(target=importlib.import_module, args=("mlflow",), daemon=True).start()


def check_prefect() -> None:
    """Refuse to start flows on a server that cannot be used; Prefect's own error has no remedy in it."""
    from flows.runtime.prefect_runs import check_server

    if not check_server():
        from flows.runtime.temporary_server import use_own_temporary_server

        use_own_temporary_server()


@contextmanager
def as_command() -> Iterator[None]:
    """Run flows as a command does: with our tag, and without heartbeats.

    Those are for workers, and each would hold up its flow's end by a second.
    """
    from prefect import tags
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from flows.runtime.deployments import TAG

    with tags(TAG), temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def _project_path(settings: Settings, config: Path) -> str:
    path = config.resolve()
    return str(path.relative_to(settings.root)) if path.is_relative_to(settings.root) else str(path)
