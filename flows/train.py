"""Stage two: one dataset version in, one trained and logged model out."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from prefect import flow

from flows import versioning
from flows.dataset import dataset_fingerprint, find_dataset
from flows.fingerprint import TRAINING_SOURCES, fingerprint, source_digest, torch_version
from flows.model_config import ModelConfig
from flows.orchestration import StageError, Workplace, enter, name_flow_run, publish, skip, stage_run
from flows.progress import progress, say
from flows.records import DatasetVersion, TrainingRun
from flows.run_mirror import RunMirror

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
    mark = train_fingerprint(model, version)
    name_flow_run(f"train {model.name} {mark[:7]}")
    with versioning.locked(place.settings, f"train-{mark}") as lock:
        done = find_training(place, mark)
        if done:
            return skip(place, done, "train", model.name, f"trained in run {done.run_id[:7]}")
        return _train(place, version, mark, lock)


def train_fingerprint(model: ModelConfig, dataset: DatasetVersion) -> str:
    """Of the train section, the images, the code of the models, and PyTorch."""
    return fingerprint(
        model=model.name,
        config=model.train,
        data=dataset.content_digest,
        code=source_digest(*TRAINING_SOURCES),
        torch=torch_version(),
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


def _train(place: Workplace, version: DatasetVersion, mark: str, lock: int) -> TrainingRun:
    settings, model, tracking = place.settings, place.model, place.tracking
    data = versioning.materialise(settings, version.name, version.dvc_md5)
    out = settings.state / "runs" / mark
    out.mkdir(parents=True, exist_ok=True)
    config = model.model_dump(mode="json", exclude_none=True)
    (out / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    tags = {
        "model": model.name,
        "dataset": version.name,
        "dataset_version": version.dvc_md5,
        "git_commit": versioning.git_commit(settings),
    }
    with stage_run(place, model.name, "train", mark, subject=model.name, tags=tags) as run_id:
        tracking.log_params(run_id, config["train"])
        tracking.log_dataset(run_id, version, "training")
        tracking.log_files(run_id, [out / "config.yaml"])
        mirror = RunMirror(tracking, run_id, out)
        _run_trainer(model, data, out, lock, mirror)
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
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    publish(
        place, "train", model.name, run_id, f"Trained **{model.name}** on `{version.name}` `{version.dvc_md5[:7]}`."
    )
    return record


def _run_trainer(model: ModelConfig, data: Path, out: Path, lock: int, mirror: RunMirror) -> None:
    """Run `python -m gan_models.training` to its end, mirroring what it writes to MLflow.

    The trainer inherits the lock: should this process die, the next attempt waits until the orphan has ended.
    """
    command = [sys.executable, "-m", "gan_models.training"]
    command += ["--config", str(out / "config.yaml"), "--data", str(data), "--out", str(out)]
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
        with progress(f"train {model.name}") as update:
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


def _cause(code: int, log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
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
