"""Stage two: one dataset version in, one trained and logged model out."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from prefect import flow

from flows.config.model_config import ModelConfig
from flows.config.run_config import write_run_config
from flows.config.settings import Settings
from flows.datasets import versions
from flows.datasets.lineage import keep_lineage
from flows.lookup import dataset as dataset_lookup
from flows.lookup import training as lookup
from flows.lookup.initial_weights import find_initial_weights, pin, why_from_scratch
from flows.runtime.errors import StageError
from flows.runtime.gpus import gpus_here, hold_gpus
from flows.runtime.locks import locked
from flows.runtime.prefect_runs import in_one_sentence, name_flow_run
from flows.runtime.progress import Update, echo, progress
from flows.runtime.records import DatasetVersion, TrainingRun
from flows.runtime.supervised_process import ChildFailedError, cause_of, run_supervised, training_limits
from flows.tracking.context import StageContext, publish, skip, stage_run
from flows.tracking.metrics_forwarder import MetricsForwarder
from gan_models.bundles.description import read_digest
from gan_models.data.fit import fit_in_words
from gan_models.data.shards import iterate_rows

EXIT_CAUSES = {2: "", 3: "training became unhealthy: ", 75: "training was asked to stop and wrote a checkpoint: "}


@flow(name="train", description=__doc__)
@in_one_sentence
def train(config: str, dataset: DatasetVersion | None = None) -> TrainingRun:
    """Train a model on exactly one dataset version, in a process of its own; an attempt that was cut short is resumed.

    Args:
        config: the model's config file, relative to the project.
        dataset: the version to train on; without it the one that the config's sources hold now.
    """
    ctx = StageContext.open(config)
    model = ctx.model
    version = dataset or dataset_lookup.current(ctx)
    fingerprint = lookup.fingerprint(ctx, version)
    name_flow_run(f"train {model.name} {fingerprint[:7]}")
    with locked(ctx.settings, f"train-{model.name}-{fingerprint[:12]}") as lock:
        done = lookup.find(ctx, fingerprint)
        if done:
            return skip(ctx, done, "train", model.name, f"trained in run {done.run_id[:7]}")
        if lost := lookup.finished(ctx, fingerprint):
            echo(f"train     {model.name}: the files of run {lost.run_id[:7]} are gone from MLflow; it is made again")
        return _train(ctx, version, fingerprint, lock)


def dry_run(config: str) -> int:
    """Let the trainer print what it would do with a config, and do nothing of it.

    Returns:
        Its exit code.

    Raises:
        StageError: the dataset has no version of what its sources hold now.
    """
    ctx = StageContext.open(config)
    version = dataset_lookup.current(ctx)
    data = versions.materialize(ctx.settings, version.name, version.dvc_md5)
    with tempfile.TemporaryDirectory(dir=ctx.settings.state) as folder:
        _begin(ctx, Path(folder))
        command = [sys.executable, "-m", "gan_models.training", "--config", str(Path(folder) / "config.yaml")]
        command += ["--data", str(data), "--out", str(Path(folder) / "run"), "--dry-run"]
        num_processes = len(gpus_here()[: _num_gpus(ctx.model)]) or ctx.settings.train_processes
        environment = {**os.environ, "WORLD_SIZE": str(num_processes)}  # as torchrun says it
        return subprocess.run(command, env=environment, check=False).returncode


def _train(ctx: StageContext, version: DatasetVersion, fingerprint: str, lock: int) -> TrainingRun:
    settings, model, tracking = ctx.settings, ctx.model, ctx.tracking
    data = versions.materialize(settings, version.name, version.dvc_md5)
    out = settings.state / "runs" / fingerprint
    out.mkdir(parents=True, exist_ok=True)
    tags = {
        "initial_model": _begin(ctx, out),
        "model": model.name,
        "dataset": version.name,
        "dataset_version": version.dvc_md5,
    }
    sizes = ((row["width"], row["height"]) for row in iterate_rows(data, ["width", "height"]))
    if loss := fit_in_words(model.train.image, sizes):
        echo(f"train     {model.name}: {loss}")
    with stage_run(ctx, model.name, "train", fingerprint, name=model.name, tags=tags) as run_id:
        keep_lineage(tracking, run_id, "train")
        tracking.log_params(run_id, model.train.model_dump(mode="json"))
        tracking.log_dataset(run_id, version, "training")
        tracking.log_files(run_id, [out / "config.yaml"])
        forwarder = MetricsForwarder(tracking, run_id, out)
        _run_trainer(ctx, data, out, lock, forwarder)
        forwarder.flush()
        tracking.log_kept(run_id, out / "metrics.jsonl")
        echo(f"train     {model.name}: logging the model")
        digest = read_digest(out / "bundle")
        logged_model_id = ctx.registry.log_model(
            run_id, out / "bundle", name=model.name, params={"recipe": model.train.recipe.name, "bundle_digest": digest}
        )
        record = TrainingRun(
            fingerprint=fingerprint,
            run_id=run_id,
            model_name=model.name,
            logged_model_id=logged_model_id,
            recipe=model.train.recipe.name,
            bundle_digest=digest,
            dataset=version,
            seconds=ctx.seconds,
        )
        tracking.describe(
            run_id,
            f"**{model.name}**, recipe `{record.recipe}`, on dataset `{version.name}` version `{version.dvc_md5}`.",
        )
        tracking.finish(record)
    for folder in ("checkpoints", "initial"):
        shutil.rmtree(out / folder, ignore_errors=True)
    publish(ctx, "train", model.name, record, f"Trained **{model.name}** on `{version.name}` `{version.dvc_md5[:7]}`.")
    return record


def _begin(ctx: StageContext, out: Path) -> str | None:
    """Write the config that the trainer reads, with a folder in place of the name of the initial weights.

    An attempt that goes on from a checkpoint has to begin where the first one began.

    Returns:
        The name of the model whose weights were taken, None where there is none.
    """
    begin_at = ctx.model.train.init_from
    file, pinned = out / "config.yaml", out / "initial"
    initial = None if file.exists() else find_initial_weights(ctx)
    if initial:
        echo(f"train     {ctx.model.name}: beginning from {initial.name}")
        pin(initial, pinned)
    elif not pinned.exists() and begin_at is not None:
        echo(f"train     {ctx.model.name}: {why_from_scratch(ctx)}, beginning from scratch")
    train = ctx.model.train.model_copy(update={"init_from": str(pinned) if pinned.exists() else None})
    write_run_config(ctx.model.model_copy(update={"train": train}), file, ctx.settings.root)
    return initial.name if initial else None


def _run_trainer(ctx: StageContext, data: Path, out: Path, lock: int, forwarder: MetricsForwarder) -> None:
    """Run `python -m gan_models.training` to its end, forwarding what it writes to MLflow.

    Raises:
        StageError: it did not end well; the message says why and whether it can be resumed.
    """
    log = out / "training.log"
    tell = lambda what: echo(f"train     {ctx.model.name}: {what}")  # noqa: E731
    try:
        with (
            hold_gpus(ctx.settings.gpu_locks, _num_gpus(ctx.model), tell) as gpus,
            progress(f"train {ctx.model.name}") as update,
        ):
            watch = lambda: _show_progress(forwarder, update)  # noqa: E731
            num_processes = len(gpus.uuids) or ctx.settings.train_processes
            arguments = _trainer_arguments(ctx.settings, out / "config.yaml", data, out, num_processes)
            code = run_supervised(arguments, log, training_limits(ctx.settings), lock, watch, gpus=gpus)
    except ChildFailedError as error:
        raise StageError(f"the training of '{ctx.model.name}' {error}") from None
    if code:
        raise StageError(_cause(ctx.model.name, code, log))


def _num_gpus(model: ModelConfig) -> int:
    return 0 if model.train.device == "cpu" else model.resources.gpus


def _show_progress(forwarder: MetricsForwarder, update: Update) -> None:
    row = forwarder.send_new()
    if row:
        update(row["step"], row["steps"], _summary(row["values"]))


def _trainer_arguments(settings: Settings, config: Path, data: Path, out: Path, num_processes: int) -> list[str]:
    """Return what Python is started with: several processes through `torchrun`, which is a module of PyTorch."""
    launcher = []
    if num_processes > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
    arguments = ["--config", str(config), "--data", str(data), "--out", str(out)]
    arguments += ["--cache", str(settings.state / "cache" / "images")]
    return [*launcher, "-m", "gan_models.training", *arguments]


def _cause(name: str, code: int, log: Path) -> str:
    """Return why the trainer ended with a code other than 0, in a sentence."""
    text = log.read_text(errors="replace")
    lines = text.strip().splitlines()
    of_process = re.findall(r"^\s*exitcode\s*:\s*(-?\d+)", text, re.MULTILINE)
    if code == 1 and of_process:  # torchrun has a code of its own, and its report of the processes comes last
        code = int(of_process[-1])
        lines = [line for line in lines if line.startswith("error: ")]
    if code in EXIT_CAUSES:
        return EXIT_CAUSES[code] + (lines[-1].removeprefix("error: ") if lines else "it left no message")
    return f"the training of '{name}' {cause_of(code, log, again='run again to resume it')}"


def _summary(values: dict[str, Any]) -> str:
    losses = [f"{name.removeprefix('loss/')} {value:.3f}" for name, value in values.items() if name.startswith("loss/")]
    speed = values.get("throughput/images_per_second")
    return "  ".join(([f"{speed:,.0f} images/s"] if speed else []) + losses)
