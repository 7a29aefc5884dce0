"""Stage two: one dataset version in, one trained and logged model out."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from prefect import flow

from flows.config.settings import Settings
from flows.dataset import dataset_fingerprint, find_dataset
from flows.datasets import versions
from flows.lookup.initial_weights import find_initial_weights, follows_itself, pin
from flows.runtime.fingerprint import TRAINING_SOURCES, fingerprint, source_digest, torch_version
from flows.runtime.progress import progress, say
from flows.runtime.records import DatasetVersion, TrainingRun
from flows.tracking.context import StageError, Workplace, enter, name_flow_run, publish, skip, stage_run
from flows.tracking.metrics_forwarder import RunMirror

EXIT_CAUSES = {2: "", 3: "training became unhealthy: ", 75: "training was asked to stop and wrote a checkpoint: "}
GRACE_SECONDS = 60
POLL_SECONDS = 0.5


@flow(name="train", description=__doc__)
def train(config: str, dataset: DatasetVersion | None = None) -> TrainingRun:
    """Train a model on exactly one dataset version, in a process of its own; an attempt that was cut short is resumed.

    Args:
        config: the model's config file, relative to the project.
        dataset: the version to train on; without it the one that the config's sources hold now.
    """
    place = enter(config)
    model = place.model
    version = dataset or current_dataset(place)
    mark = train_fingerprint(place, version)
    name_flow_run(f"train {model.name} {mark[:7]}")
    with versions.locked(place.settings, f"train-{mark}") as lock:
        done = find_training(place, mark)
        if done:
            return skip(place, done, "train", model.name, f"trained in run {done.run_id[:7]}")
        return _train(place, version, mark, lock)


def train_fingerprint(place: Workplace, dataset: DatasetVersion) -> str:
    """Of the train section, the images, the code of the models, PyTorch, and another model's weights to begin from.

    Raises:
        StageError: the model to begin from does not exist.
    """
    model = place.model
    initial = None if follows_itself(model) else find_initial_weights(place)
    return fingerprint(
        model=model.name,
        config=model.train,
        data=dataset.content_digest,
        code=source_digest(*TRAINING_SOURCES),
        torch=torch_version(),
        **({"initial": initial.digest} if initial else {}),
    )


def find_training(place: Workplace, mark: str) -> TrainingRun | None:
    """The finished training run with this fingerprint."""
    return place.tracking.find_finished(TrainingRun, place.model.name, "train", fingerprint=mark)


def current_dataset(place: Workplace) -> DatasetVersion:
    """The version of what the config's sources hold now.

    Raises:
        StageError: it has not been built yet.
    """
    done = find_dataset(place, dataset_fingerprint(place.settings, place.model.dataset))
    if done is None:
        raise StageError(
            f"dataset '{place.model.dataset.name}' has no version of what its sources hold now; "
            "run `atelier dataset` with this config first"
        )
    return done


def dry_run(config: str) -> int:
    """Let the trainer print what it would do with a config, and do nothing of it.

    Returns:
        Its exit code.

    Raises:
        StageError: the dataset has no version of what its sources hold now.
    """
    place = enter(config)
    version = current_dataset(place)
    data = versions.materialize(place.settings, version.name, version.dvc_md5)
    with tempfile.TemporaryDirectory(dir=place.settings.state) as folder:
        _begin(place, Path(folder))
        command = [sys.executable, "-m", "gan_models.training", "--config", str(Path(folder) / "config.yaml")]
        command += ["--data", str(data), "--out", str(Path(folder) / "run"), "--dry-run"]
        environment = {**os.environ, "WORLD_SIZE": str(place.settings.train_processes)}  # as torchrun says it
        return subprocess.run(command, env=environment, check=False).returncode


def _train(place: Workplace, version: DatasetVersion, mark: str, lock: int) -> TrainingRun:
    settings, model, tracking = place.settings, place.model, place.tracking
    data = versions.materialize(settings, version.name, version.dvc_md5)
    out = settings.state / "runs" / mark
    out.mkdir(parents=True, exist_ok=True)
    tags = {
        "initial_model": _begin(place, out),
        "model": model.name,
        "dataset": version.name,
        "dataset_version": version.dvc_md5,
        "git_commit": versions.git_commit(settings),
    }
    with stage_run(place, model.name, "train", mark, subject=model.name, tags=tags) as run_id:
        tracking.log_params(run_id, model.train.model_dump(mode="json", exclude_none=True))
        tracking.log_dataset(run_id, version, "training")
        tracking.log_files(run_id, [out / "config.yaml"])
        mirror = RunMirror(tracking, run_id, out)
        _run_trainer(place, data, out, lock, mirror)
        mirror.flush()
        tracking.log_files(run_id, [out / "metrics.jsonl"])
        say(f"train     {model.name}: logging the model")
        digest = hashlib.sha256((out / "bundle" / "bundle.json").read_bytes()).hexdigest()
        logged_model_id = place.registry.log_model(
            run_id, out / "bundle", name=model.name, params={"recipe": model.train.recipe.name, "bundle_digest": digest}
        )
        record = TrainingRun(
            fingerprint=mark,
            run_id=run_id,
            model_name=model.name,
            logged_model_id=logged_model_id,
            recipe=model.train.recipe.name,
            bundle_digest=digest,
            dataset=version,
            seconds=place.seconds,
        )
        tracking.describe(
            run_id,
            f"**{model.name}**, recipe `{record.recipe}`, on dataset `{version.name}` version `{version.dvc_md5}`.",
        )
        tracking.finish(record)
    for folder in ("checkpoints", "initial"):
        shutil.rmtree(out / folder, ignore_errors=True)
    publish(
        place, "train", model.name, run_id, f"Trained **{model.name}** on `{version.name}` `{version.dvc_md5[:7]}`."
    )
    return record


def _begin(place: Workplace, out: Path) -> str | None:
    """Write the config that the trainer reads, with a folder in place of the name of the initial weights.

    An attempt that goes on from a checkpoint has to begin where the first one began.

    Returns:
        The name of the model whose weights were taken, None where there is none.
    """
    config = place.model.model_dump(mode="json", exclude_none=True)
    file, pinned = out / "config.yaml", out / "initial"
    initial = None if file.exists() else find_initial_weights(place)
    if initial:
        say(f"train     {place.model.name}: beginning from {initial.name}")
        pin(initial, pinned)
    elif not pinned.exists() and config["train"].pop("init_from", None):
        say(f"train     {place.model.name}: {place.model.train.init_from} is not there yet, beginning from scratch")
    if pinned.exists():
        config["train"]["init_from"] = str(pinned)
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    return initial.name if initial else None


def _run_trainer(place: Workplace, data: Path, out: Path, lock: int, mirror: RunMirror) -> None:
    """Run `python -m gan_models.training` to its end, mirroring what it writes to MLflow.

    The trainer inherits the lock: should this process die, the next attempt waits until the orphan has ended.
    """
    command = _trainer_command(place.settings, out / "config.yaml", data, out)
    with (out / "training.log").open("ab") as log:
        trainer = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[lock],
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        with progress(f"train {place.model.name}") as update:
            while trainer.poll() is None:
                row = mirror.send_new()
                if row:
                    update(row["step"], row["steps"], _summary(row["values"]))
                time.sleep(POLL_SECONDS)
    finally:
        if trainer.poll() is None:
            trainer.send_signal(signal.SIGTERM)
            try:
                trainer.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                trainer.kill()
                trainer.wait()
    if trainer.returncode:
        raise StageError(_cause(trainer.returncode, out / "training.log"))


def _trainer_command(settings: Settings, config: Path, data: Path, out: Path) -> list[str]:
    """With several processes through `torchrun`, which is `python -m torch.distributed.run`."""
    launcher = [sys.executable]
    if settings.train_processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={settings.train_processes}"]
    arguments = ["--config", str(config), "--data", str(data), "--out", str(out)]
    arguments += ["--cache", str(settings.state / "cache" / "images")]
    return [*launcher, "-m", "gan_models.training", *arguments]


def _cause(code: int, log: Path) -> str:
    text = log.read_text(errors="replace").strip()
    lines = text.splitlines()
    of_process = re.findall(r"^\s*exitcode\s*:\s*(-?\d+)", text, re.MULTILINE)
    if code == 1 and of_process:  # torchrun has a code of its own, and its report of the processes comes last
        code = int(of_process[-1])
        lines = [line for line in lines if line.startswith("error: ")]
    last = lines[-1].removeprefix("error: ") if lines else "it left no message"
    if code < 0:
        return f"the training process was killed by {signal.Signals(-code).name}; run again to resume it ({log})"
    if code in EXIT_CAUSES:
        return EXIT_CAUSES[code] + last
    return f"the training process ended with code {code}: {last} (all of it in {log})"


def _summary(values: dict[str, Any]) -> str:
    losses = [f"{name.removeprefix('loss/')} {value:.3f}" for name, value in values.items() if name.startswith("loss/")]
    speed = values.get("throughput/images_per_second")
    return "  ".join(([f"{speed:,.0f} images/s"] if speed else []) + losses)
