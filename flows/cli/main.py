"""The `atelier` command. Imports are made where they are needed: Prefect and MLflow take seconds."""

import importlib
import json
import os
import sys
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli import dataset as dataset_commands
from flows.cli import storage as storage_commands
from flows.cli.errors import UsageError, in_one_line
from flows.config.settings import Settings
from gan_models.escaping import for_terminal
from gan_models.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.runtime.records import Record

app = typer.Typer(
    help="Retrains GAN image models and promotes them to production only when they are better.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(dataset_commands.app, name="dataset")
app.add_typer(storage_commands.app, name="storage")
app.add_typer(storage_commands.app, name="remote", hidden=True)
Config = Annotated[Path, typer.Argument(help="the model's config file, such as configs/digits-generator.yaml")]


@app.command()
def retrain(
    configs: Annotated[list[Path], typer.Argument(help="config files; several are retrained one after the other")],
    on_workers: Annotated[
        bool, typer.Option("--on-workers", "--remote", help="run every stage as a flow run of its own deployment")
    ] = False,
) -> None:
    """Bring models up to date: dataset, train, evaluate, promote. What has nothing new is skipped."""
    names = [_project_path(config) for config in configs]
    _check_configs(names)
    _prepare()
    _check_prefect()
    from flows.cli.render import next_commands, retraining_summary
    from flows.retrain import retrain as retrain_flow
    from flows.runtime.progress import console

    if on_workers and not os.environ.get("PREFECT_API_URL"):
        raise UsageError("--on-workers needs a Prefect server with workers: start `atelier up` or set PREFECT_API_URL")
    summaries = []
    with _without_heartbeats():
        for name in names:
            retraining = retrain_flow(name, on_workers)
            summaries.append(retraining_summary(retraining[1].model_name, retraining))
    for summary in summaries:
        console.print(summary)
    settings = Settings()
    console.print(next_commands(settings.mlflow_tracking_uri, dict(os.environ)))


@app.command()
def train(
    config: Config,
    dry_run: Annotated[bool, typer.Option(help="print config, sizes and memory as they would be, and stop")] = False,
) -> None:
    """Train a model on the dataset version that its sources hold now."""
    if dry_run:
        _dry_run(config)
    else:
        from_flow("train", config)


@app.command()
def evaluate(
    config: Config,
    model: Annotated[str | None, typer.Option(help="what is measured: models:/name/3 or models:/name@alias")] = None,
    bundle: Annotated[str | None, typer.Option(help="what is measured: the folder of a bundle")] = None,
    against: Annotated[
        str | None,
        typer.Option(help="compare it with models:/name@champion, a version, or a bundle's folder"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="print JSON to stdout, and everything else to stderr")
    ] = False,
) -> None:
    """Measure a model, by default the one that was trained last, and judge it by the config's rules."""
    if model and bundle:
        raise UsageError("--model and --bundle both say what is measured; give one of them")
    name = _project_path(config)
    _check_configs([name], with_sources=not (model or bundle))  # what is registered is measured without them
    _prepare()
    from flows.runtime.progress import console

    console.stderr = as_json
    _check_prefect()
    from flows.cli.evaluate import assess
    from flows.cli.render import assessment_summary

    with _without_heartbeats():
        assessment = assess(name, model or bundle, against)
    if as_json:
        print(json.dumps(assessment.as_json(), indent=2))
    else:
        console.print(assessment_summary(assessment))


@app.command()
def promote(config: Config) -> None:
    """Decide on the evaluated model by the config's rules."""
    from_flow("promote", config)


@app.command()
def status(
    model: Annotated[str | None, typer.Argument(help="a registered model; all of them without it")] = None,
) -> None:
    """Show versions, aliases, and the chain from the champion to its data and code."""
    _prepare()
    from flows.cli.render import model_status
    from flows.runtime.progress import console
    from flows.tracking.registry import Registry
    from flows.tracking.runs import Tracking

    tracking = Tracking(Settings())
    tracking.check()
    registry = Registry(tracking)
    known = registry.models()
    if model is not None and model not in known:
        hint = did_you_mean(model, known) if known else "there are none yet, run `make demo`"
        raise UsageError(f"no model '{model}' is registered; {hint}")
    if not known:
        console.print("No model is registered yet; `make demo` makes two.")
    for name in [model] if model else known:
        aliases = {
            alias: at.version for alias in ("champion", "challenger", "previous") if (at := registry.at(name, alias))
        }
        console.print(model_status(name, registry.versions(name), aliases))


@app.command()
def up(
    port: Annotated[int, typer.Option(help="of the Prefect server; MLflow takes the next one up")] = 4200,
) -> None:
    """Start a Prefect server, the MLflow UI and workers here, with every deployment; Ctrl-C stops them all."""
    settings = Settings()
    if settings.running_servers:
        raise UsageError("`atelier up` is already running for this project; stop it with Ctrl-C first")
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    os.environ["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{port + 1}"
    _prepare()
    from flows.cli.dev_servers import serve

    serve(settings, port)


@app.command()
def doctor() -> None:
    """Say what works here, what does not, and what to do about it."""
    from flows.cli.doctor import examine

    if not examine(Settings()):
        raise typer.Exit(1)


def from_flow(stage: str, config: Path) -> None:
    """Run one stage alone."""
    name = _project_path(config)
    _check_configs([name])
    _prepare()
    _check_prefect()
    from flows.runtime.progress import console

    flow: Callable[[str], Record] = getattr(importlib.import_module(f"flows.{stage}"), stage)
    with _without_heartbeats():
        record = flow(name)
    state = "skipped, nothing new" if record.skipped else "done"
    console.print(f"[bold]{stage}[/] {state} in {record.seconds:.1f} s, MLflow run {record.run_id}")


def _dry_run(config: Path) -> None:
    name = _project_path(config)
    _check_configs([name])
    _prepare()
    code = importlib.import_module("flows.train").dry_run(name)
    if code:
        raise typer.Exit(code)


def _project_path(config: Path) -> str:
    """The config's path relative to the project, as deployments know it; absolute where it lies elsewhere."""
    path = config.resolve()
    root = Settings().root
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _check_configs(names: list[str], with_sources: bool = True) -> None:
    """Refuse bad configs, and sources that are not there, before a server is started for them."""
    from flows.config.model_config import read_model_config
    from flows.sources.open import open_source

    settings = Settings()
    for name in names:
        config = read_model_config(settings.root / name)
        for source in config.dataset.sources if with_sources else ():
            open_source(source, settings.root, settings.download_folder)


def _prepare() -> None:
    """Set the environment that Prefect and MLflow read when they are imported."""
    Settings().apply()
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    if not os.environ.get("PREFECT_API_URL"):
        # Prefect's temporary server takes seconds to start, and so does this import: better side by side.
        threading.Thread(target=importlib.import_module, args=("mlflow",), daemon=True).start()


def _check_prefect() -> None:
    """Refuse to start flows on a server that does not answer; Prefect's own error has no remedy in it."""
    from flows.cli.doctor import prefect_server

    prefect_server()


def _without_heartbeats() -> AbstractContextManager[object]:
    """Heartbeats tell a server that a worker's run is alive; here each would hold up its flow's end by a second."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    return temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})


def main() -> None:
    """Run the command, and end with exit code 1 where it fails.

    What a person can mend is told in one sentence, or by its traceback with ATELIER_DEBUG=1. All else is a bug, and
    whoever mends it needs the traceback.
    """
    try:
        app()
    except KeyboardInterrupt:
        sys.exit("stopped; run the same command again to go on where it was")
    except Exception as error:
        told = in_one_line(error)
        if os.environ.get("ATELIER_DEBUG") or told is None:
            raise
        sys.exit(f"error: {for_terminal(told)}")
