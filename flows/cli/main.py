"""The `atelier` command: the list of its commands. Imports are made where they are needed, as they take seconds."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli import dataset as dataset_commands
from flows.cli import storage as storage_commands
from flows.cli.errors import UsageError, in_one_line
from flows.cli.stage_runner import Config, as_command, check_prefect, checked_paths, dry_run, prepare, run_stage
from flows.config.settings import Settings
from flows.runtime.interruption import INTERRUPTED, interrupt_in_order
from gan_models.escaping import for_terminal

if TYPE_CHECKING:
    from flows.runtime.records import Retraining

app = typer.Typer(
    help="Retrains GAN image models and promotes them to production only when they are better.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(dataset_commands.app, name="dataset")
app.add_typer(storage_commands.app, name="storage")
app.add_typer(storage_commands.app, name="remote", hidden=True)


@app.command()
def retrain(
    configs: Annotated[list[Path], typer.Argument(help="config files; several are retrained one after the other")],
    on_workers: Annotated[
        bool, typer.Option("--on-workers", "--remote", help="on the workers of a Prefect server, all configs at once")
    ] = False,
) -> None:
    """Bring models up to date: dataset, train, evaluate, promote. What has nothing new is skipped."""
    names = checked_paths(configs, with_sources=not on_workers)  # workers may have sources that are not here
    prepare("--on-workers needs a Prefect server" if on_workers else None)
    check_prefect()
    if on_workers:
        from flows.cli.on_workers import retrain_on_workers

        ended = retrain_on_workers(names)
        _show(ended.left())
        ended.check()
    else:
        from flows.retrain import retrain as retrain_flow

        with as_command():
            retrainings = [retrain_flow(name) for name in names]
        _show(retrainings)


def _show(retrainings: list["Retraining"]) -> None:
    from flows.cli.render import next_commands, retraining_summary
    from flows.runtime.progress import console

    for retraining in retrainings:
        console.print(retraining_summary(retraining[1].model_name, retraining))
    if retrainings:
        console.print(next_commands(Settings(), dict(os.environ), retrainings))


@app.command()
def train(
    config: Config,
    dry: Annotated[bool, typer.Option("--dry-run", help="print config, sizes and memory, and stop")] = False,
) -> None:
    """Train a model on the dataset version that its sources hold now."""
    if dry:
        dry_run(config)
    else:
        run_stage("train", config)


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
    (name,) = checked_paths([config], with_sources=not (model or bundle))  # what is registered is measured without them
    prepare()
    from flows.runtime.progress import console

    console.stderr = as_json
    check_prefect()
    from flows.cli.evaluate import assess
    from flows.cli.render import assessment_summary

    with as_command():
        assessment = assess(name, model or bundle, against)
    if as_json:
        print(json.dumps(assessment.as_json(), indent=2))
    else:
        console.print(assessment_summary(assessment))


@app.command()
def promote(config: Config) -> None:
    """Decide on the evaluated model by the config's rules."""
    run_stage("promote", config)


@app.command()
def status(
    model: Annotated[str | None, typer.Argument(help="a registered model; all of them without it")] = None,
) -> None:
    """Show versions, aliases, and the chain from the champion to its data and code."""
    prepare()
    from flows.cli.render import model_status
    from flows.runtime.progress import console
    from flows.tracking.registry import Registry
    from flows.tracking.runs import Tracking

    tracking = Tracking(Settings())
    tracking.check()
    registry = Registry(tracking)
    if model is not None:
        registry.check(model)
    names = [model] if model else registry.models()
    for name in names:
        console.print(model_status(name, registry.versions(name), registry.aliases(name)))
    if not names:
        console.print("No model is registered yet; `make demo` makes two.")


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
    settings.apply()  # and not `prepare`: the servers' logs are to hold their errors
    from flows.cli.dev_servers import serve
    from flows.tracking.artifact_paths import follow_project

    follow_project(settings)
    serve(settings, port)


@app.command()
def deploy(
    configs: Annotated[
        list[Path] | None, typer.Argument(help="config files of models that prefect.yaml does not name")
    ] = None,
) -> None:
    """Create the work pools, deployments and automations on the Prefect server, or bring them up to date."""
    names = checked_paths(configs or [], with_sources=False)
    prepare("deployments are kept by a Prefect server")
    check_prefect()
    from flows.cli.deployments import deploy as make_deployments
    from flows.runtime.progress import console

    with console.status("asking the Prefect server"):
        lines = make_deployments(Settings(), names)
    for line in lines:
        console.print(line, highlight=False, markup=False)


@app.command()
def worker(
    pool: Annotated[str, typer.Option(help="the work pool whose runs it takes up: cpu or gpu")],
    limit: Annotated[int | None, typer.Option(min=1, help="how many runs at once; in the pool gpu one a GPU")] = None,
    health_port: Annotated[int, typer.Option(min=0, max=65_535, help="where it answers at /health; 0: nowhere")] = 8080,
) -> None:
    """Take up flow runs of a work pool until SIGTERM or Ctrl-C, which end what runs with a checkpoint."""
    os.environ.setdefault("PREFECT_WORKER_QUERY_SECONDS", "2")  # a person is waiting; the default of 10 is for fleets
    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "30")  # of the runs: a dead one sends none
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS"] = "flows.runtime.console_handler.PatientConsoleHandler"
    os.environ["PREFECT_WORKER_WEBSERVER_PORT"] = str(health_port)
    Settings().apply()  # and not `prepare`: its log is to hold its errors
    if not os.environ.get("PREFECT_API_URL"):
        raise UsageError("a worker asks a Prefect server for runs: start `atelier up`, or set PREFECT_API_URL")
    from flows.cli.worker import work

    work(pool, limit, with_health_check=health_port > 0)


@app.command()
def metrics(
    host: Annotated[
        str, typer.Option(help="the address it listens on; 0.0.0.0 for all of this machine's")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 9108,
) -> None:
    """Answer Prometheus at /metrics: queues, runs, models, disks."""
    prepare()
    from flows.cli.metrics import serve

    serve(Settings(), host, port)


@app.command()
def doctor() -> None:
    """Say what works here, what does not, and what to do about it."""
    prepare()
    from flows.cli.doctor import examine

    if not examine(Settings()):
        raise typer.Exit(1)


def main() -> None:
    """Run the command, and end with exit code 1 where it fails.

    What a person can mend is told in one sentence, or by its traceback with ATELIER_DEBUG=1. All else is a bug, and
    whoever mends it needs the traceback.
    """
    interrupt_in_order()
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:  # as Typer makes of KeyboardInterrupt
            print("stopped; run the same command again to go on where it was", file=sys.stderr)
        raise
    except Exception as error:
        line = in_one_line(error)
        if os.environ.get("ATELIER_DEBUG") or line is None:
            raise
        sys.exit(f"error: {for_terminal(line)}")


if __name__ == "__main__":
    main()
