"""Train a model: `python -m gan_models.training --config configs/x.yaml --data data/x --out runs/x`.

Exit codes: 0 done, 2 something to be mended by a person, 3 unhealthy (losses or weights not finite), 75 preempted by
SIGTERM or Ctrl-C after writing a checkpoint: the same command goes on from it.
"""

import argparse
import errno
import fcntl
import logging
import signal
import sys
from pathlib import Path
from types import FrameType

import torch

from gan_models.config import ConfigError, TrainConfig, read_train_config, validate
from gan_models.images.image_set import load_training_data
from gan_models.images.shards import DataError
from gan_models.inference.bundle import BundleError, read_description
from gan_models.training.checkpoints import CheckpointError
from gan_models.training.health import UnhealthyError
from gan_models.training.loop import Outcome, Trainer, config_digest

USER_ERROR, UNHEALTHY = 2, 3


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gan_models.training", description="Train a model to a bundle.")
    parser.add_argument("--config", type=Path, required=True, help="a YAML file with a section train")
    parser.add_argument("--data", type=Path, required=True, help="directory of a dataset's Parquet shards")
    parser.add_argument("--out", type=Path, required=True, help="directory of the run; where it has begun, it goes on")
    parser.add_argument("--steps", type=int, help="in place of the config's")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.INFO if sys.stderr.isatty() else logging.WARNING)
    try:
        config = read_train_config(options.config)
        if options.steps is not None:
            config = validate(TrainConfig, {**config.model_dump(), "steps": options.steps}, "--steps")
        return _train(config, options.data, options.out)
    except (ConfigError, DataError, BundleError, CheckpointError) as error:
        return _fail(str(error), USER_ERROR)
    except UnhealthyError as error:
        return _fail(f"training is unhealthy and was stopped: {error}", UNHEALTHY)
    except torch.OutOfMemoryError as error:
        reason = str(error).split(". ")[0]
        return _fail(f"the GPU's memory does not suffice ({reason}); lower train.batch_size", USER_ERROR)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return _fail(str(error), USER_ERROR)
        return _fail(f"no space left for {error.filename or options.out}; free some and run again", USER_ERROR)


def _train(config: TrainConfig, data: Path, out: Path) -> int:
    device = _device(config)
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held until the process ends, however it ends
        except BlockingIOError:
            raise CheckpointError(f"another process is training into {out}; wait for it or stop it") from None
        if (out / "bundle").exists():
            if read_description(out / "bundle").config_digest != config_digest(config):
                raise CheckpointError(f"{out} holds a finished run of another config; train into another directory")
            return Outcome.DONE
        is_asked_to_stop = _stop_on_signals()
        images, previews = (load_training_data(data, split, config) for split in ("train", "evaluation"))
        trainer = Trainer(config, images, previews, out, device)
        outcome = trainer.run(lambda: bool(is_asked_to_stop), _print_progress if sys.stderr.isatty() else None)
        if sys.stderr.isatty():
            print(file=sys.stderr)
        if outcome is Outcome.PREEMPTED:
            print(f"stopped at step {trainer.step} as asked; run again to go on", file=sys.stderr)
        return outcome


def _device(config: TrainConfig) -> torch.device:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("the config asks for a GPU and there is none; set train.device to auto or cpu")
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(config.device)


def _stop_on_signals() -> list[int]:
    """A list that receives the signals which ask the run to stop."""
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)

    signal.signal(signal.SIGTERM, remember)
    signal.signal(signal.SIGINT, remember)
    return received


def _print_progress(step: int, values: dict[str, float]) -> None:
    shown = "  ".join(f"{name.split('/')[1]} {value:.3g}" for name, value in values.items() if "health" not in name)
    print(f"\r\033[Kstep {step}  {shown}", end="", file=sys.stderr, flush=True)


def _fail(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
