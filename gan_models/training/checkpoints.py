"""Checkpoints that survive kills at any moment, full disks, damaged files and poisoned ones.

A checkpoint is `step-000250.pt` and, written after it, the manifest `step-000250.json` with its SHA-256. A checkpoint
without a manifest was never finished, and does not count.
"""

import hashlib
import io
import json
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gan_models.errors import AtelierError
from gan_models.files import TEMPORARY_SUFFIX, is_disk_full, sync, write_durably
from gan_models.text import one_line

logger = logging.getLogger(__name__)


class CheckpointError(AtelierError):
    """Checkpoints that cannot be written or used; the message says which, why, and what to do."""


class Checkpoints:
    """The newest checkpoints of one training run.

    Args:
        directory: made if missing.
        keep: how many; older ones are removed after each save.
        identity: what the run is, JSON-like: a flat mapping. Checkpoints of another identity are refused.
        may_write: raises a CheckpointError where the run is another process's by now; asked before files are changed.
    """

    def __init__(
        self, directory: Path, keep: int, identity: dict[str, Any], may_write: Callable[[], None] = lambda: None
    ) -> None:
        self.directory = directory
        self.keep = keep
        self.identity = identity
        self.may_write = may_write
        directory.mkdir(parents=True, exist_ok=True)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Keep `state`: nested plain containers of tensors, numbers and strings.

        Raises:
            CheckpointError: the disk is full or fails, or the run is another process's by now; the checkpoints before
                this one are untouched.
        """
        self.may_write()
        buffer = io.BytesIO()
        torch.save({"step": step, "state": state}, buffer)
        content = buffer.getbuffer()
        manifest = {"step": step, "sha256": hashlib.sha256(content).hexdigest(), "identity": self.identity}
        data_path = self._data_path(step)
        try:
            data_path.with_suffix(".json").unlink(
                missing_ok=True
            )  # Without a manifest it is no checkpoint, until it is whole.
            write_durably(data_path, content, self.may_write)
            write_durably(data_path.with_suffix(".json"), json.dumps(manifest, indent=2).encode(), self.may_write)
        except OSError as error:
            full = is_disk_full(error)
            cause = "no space left" if full else str(error)
            raise CheckpointError(
                f"checkpoint of step {step} could not be written to {self.directory}: {cause}; those before it are "
                f"intact, so {'free some space' if full else 'mend that'} and run again to go on from them"
            ) from None
        self.may_write()
        # Damaged ones of later steps, which this run was resumed behind, go as well.
        later = [other for other in self._steps() if other > step]
        for old in later + [other for other in self._steps() if other <= step][self.keep :]:
            self._data_path(old).with_suffix(".json").unlink()
            self._data_path(old).unlink(missing_ok=True)
        sync(self.directory)

    def load_latest(self) -> tuple[int, dict[str, Any]] | None:
        """Load step and state of the newest checkpoint that is whole, to the CPU; None where there has been none.

        Damaged ones are named in a warning and passed over; what unfinished saves left is removed.

        Raises:
            CheckpointError: all checkpoints are damaged, or they are those of another run.
        """
        self._remove_strays()
        damaged = []
        for step in self._steps():
            path = self._data_path(step)
            try:
                return step, self._load(path)
            except (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
                logger.warning("checkpoint %s is damaged and passed over: %s", path, one_line(error, 200))
                damaged.append(path.name)
        if damaged:
            raise CheckpointError(
                f"all checkpoints in {self.directory} are damaged ({', '.join(damaged)}); "
                f"bring them back from a copy, or remove {self.directory} to train from the start"
            )
        return None

    def latest_step(self) -> int:
        """Return the step of the newest checkpoint; there is one."""
        return self._steps()[0]

    def discard(self, step: int) -> None:
        """Remove the checkpoint of `step`, unless there is no other."""
        if len(self._steps()) > 1:
            self._data_path(step).with_suffix(".json").unlink(missing_ok=True)
            self._data_path(step).unlink(missing_ok=True)
            sync(self.directory)

    def _load(self, path: Path) -> dict[str, Any]:
        manifest = json.loads(path.with_suffix(".json").read_bytes())
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != manifest["sha256"]:
            raise ValueError("its SHA-256 is not the one in its manifest")
        self._check_identity(manifest["identity"])
        # weights_only refuses whatever is not a tensor or a plain container before any of it runs.
        loaded: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        state: dict[str, Any] = loaded["state"]
        return state

    def _check_identity(self, theirs: dict[str, Any]) -> None:
        ours = json.loads(json.dumps(self.identity))
        changed = [
            f"{key} was {theirs.get(key)!r} and is {ours.get(key)!r}"
            for key in sorted(ours.keys() | theirs.keys())
            if ours.get(key) != theirs.get(key)
        ]
        if changed:
            raise CheckpointError(
                f"{self.directory} holds checkpoints of another run ({'; '.join(changed)}); "
                "train into another directory, or remove this one"
            )

    def _remove_strays(self) -> None:
        manifests = {path.stem for path in self.directory.glob("step-*.json")}
        unfinished = [path for path in self.directory.glob("step-*.pt") if path.stem not in manifests]
        for stray in [*self.directory.glob(f"*{TEMPORARY_SUFFIX}"), *unfinished]:
            logger.warning("removing %s, left by a save that was interrupted", stray)
            stray.unlink()

    def _steps(self) -> list[int]:
        """Return steps of the finished checkpoints, newest first."""
        return sorted(
            (int(path.stem.removeprefix("step-")) for path in self.directory.glob("step-*.json")), reverse=True
        )

    def _data_path(self, step: int) -> Path:
        return self.directory / f"step-{step:06d}.pt"
