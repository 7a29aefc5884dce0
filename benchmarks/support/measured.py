"""One config from images to numbers, with the package's own command lines; what is finished is used again."""

import contextlib
import json
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from safetensors import safe_open

from flows.config.dataset_section import DatasetConfig
from flows.config.model_config import ModelConfig, read_model_config
from flows.config.run_config import write_run_config
from flows.datasets.builder import build_dataset
from flows.lookup import dataset, evaluation, training
from flows.runtime.code_digest import code_digest
from flows.runtime.fingerprint import (
    digest_of,
    torch_version,
)
from flows.runtime.progress import Update, progress
from flows.sources.open import open_source
from gan_models.data.shards import content_digest
from gan_models.errors import AtelierError
from gan_models.evaluation.result import RESULT, EvaluationResult, Metric

POLL_SECONDS = 0.5


class MeasurementError(AtelierError):
    """A config that could not be trained or evaluated; the message is the last line of what it said."""


class Finished(BaseModel):
    """What is kept of a finished training or evaluation: the digest of all that decided it, and how long it took."""

    fingerprint: str
    seconds: float


@dataclass(frozen=True)
class Measured:
    """A trained and evaluated config. `num_parameters`: of the network that its bundle holds."""

    config: ModelConfig
    result: EvaluationResult
    pictures: Path
    seconds: float
    num_parameters: int

    def metric(self, key: str) -> Metric | None:
        """Return the metric with this key, where it was measured."""
        return self.result.by_key().get(key)


class Workshop:
    """A folder in which configs are measured. Deleting it costs time and nothing else."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.root = root

    def measure(self, file: Path) -> Measured:
        """Build the data, train, evaluate; whatever of it has been done with the same inputs is not done again.

        Raises:
            ConfigError, SourceError, DatasetRefusedError: the config cannot be used.
            MeasurementError: training or evaluation failed.
        """
        config = read_model_config(file)
        home = self.folder / file.stem
        home.mkdir(parents=True, exist_ok=True)
        write_run_config(config, home / "config.yaml", self.root)
        data = self._dataset(config.dataset)
        digest = content_digest(data)
        arguments = ["--config", str(home / "config.yaml"), "--data", str(data)]

        fingerprint = digest_of(
            config=config.train,
            data=digest,
            code=code_digest(*training.entry_points(config.train.recipe.name)),
            torch=torch_version(),
        )
        run = _renewed(home / "run", fingerprint)
        if not (run / "bundle").exists():
            shutil.rmtree(home / "evaluation", ignore_errors=True)  # of another bundle
            command = ["gan_models.training", *arguments, "--out", str(run)]
            command += ["--cache", str(self.folder / "images")]
            self._run(file.stem, "train", command, run, lambda update: _steps_of(run, update))

        bundle = run / "bundle"
        fingerprint = digest_of(
            config=config.evaluate,
            bundle=(bundle / "bundle.json").read_text(),
            data=digest,
            code=code_digest(*evaluation.entry_points(config.train.recipe.name, config.train.recipe.task)),
        )
        judged = _renewed(home / "evaluation", fingerprint)
        if not (judged / RESULT).exists():
            command = ["gan_models.evaluation", *arguments, "--bundle", str(bundle), "--out", str(judged)]
            command += ["--cache", str(self.folder / "features")]
            self._run(file.stem, "evaluate", command, judged, lambda update: _progress_of(judged, update))
        return self._finished(file, config)

    def finished(self, file: Path) -> Measured | None:
        """Return what was measured of a config last time, whatever has changed since; None where it never was."""
        home = self.folder / file.stem
        if not (home / "evaluation" / RESULT).exists():
            return None
        return self._finished(file, read_model_config(home / "config.yaml"))

    def _finished(self, file: Path, config: ModelConfig) -> Measured:
        home = self.folder / file.stem
        return Measured(
            config=config,
            result=EvaluationResult.model_validate_json((home / "evaluation" / RESULT).read_text()),
            pictures=home / "evaluation",
            seconds=_state(home / "run").seconds,
            num_parameters=_num_parameters(home / "run" / "bundle" / "model.safetensors"),
        )

    def _dataset(self, config: DatasetConfig) -> Path:
        sources = [open_source(source, self.root) for source in config.sources]
        fingerprint = digest_of(
            config=config,
            sources=[source.fingerprint() for source in sources],
            code=code_digest(*dataset.ENTRY_POINTS),
        )
        folder = self.folder / "data" / f"{config.name}-{fingerprint[:12]}"
        if not folder.exists():
            building = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(building, ignore_errors=True)
            with progress(f"{config.name}: images") as update:
                build_dataset(
                    sources,
                    building,
                    **config.model_dump(exclude={"name", "sources"}),
                    quarantine=self.folder / "data" / "quarantine" / config.name,
                    on_progress=lambda done, total: update(done, total, ""),
                )
            building.rename(folder)
        return folder

    def _run(self, name: str, stage: str, command: list[str], out: Path, report: Callable[[Update], None]) -> None:
        """Run a module of the package to its end, adding the time it took to the state of its folder."""
        log = self.folder / name / f"{stage}.log"
        began, before = time.monotonic(), _state(out)
        with log.open("wb") as stream, progress(f"{name}: {stage}") as update:
            child = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=self.root, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
            )
            try:
                while child.poll() is None:
                    report(update)
                    time.sleep(POLL_SECONDS)
            finally:
                if child.poll() is None:
                    child.terminate()  # a trainer then writes a checkpoint, from which the next run goes on
                    child.wait()
                _write_state(
                    out, Finished(fingerprint=before.fingerprint, seconds=before.seconds + time.monotonic() - began)
                )
        if child.returncode:
            lines = log.read_text(errors="replace").strip().splitlines() or ["it left no message"]
            raise MeasurementError(f"{stage} of {name}: {lines[-1].removeprefix('error: ')} (all of it in {log})")


def _renewed(folder: Path, fingerprint: str) -> Path:
    """Return the folder, emptied where what is in it was made with another fingerprint."""
    if not _state_file(folder).exists() or _state(folder).fingerprint != fingerprint:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _write_state(folder, Finished(fingerprint=fingerprint, seconds=0.0))
    return folder


def _state_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


def _state(folder: Path) -> Finished:
    return Finished.model_validate_json(_state_file(folder).read_text())


def _write_state(folder: Path, state: Finished) -> None:
    _state_file(folder).write_text(state.model_dump_json())


def _num_parameters(weights: Path) -> int:
    with safe_open(weights, "numpy") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118  # no mapping


def _steps_of(run: Path, update: Update) -> None:
    row = _last_line(run / "metrics.jsonl")
    if row:
        update(row["step"], row["steps"], "")


def _progress_of(evaluation: Path, update: Update) -> None:
    row = _last_line(evaluation / "progress.jsonl")
    if row:
        update(row["done"], row["total"], row["what"])


def _last_line(file: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, IndexError, ValueError):
        return dict(json.loads(file.read_text().split("\n")[-2]))
    return None
