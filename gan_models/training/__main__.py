"""Train a model: `python -m gan_models.training --config configs/x.yaml --data data/x --out runs/x`.

Several processes train together under `torchrun --nproc-per-node 2 -m gan_models.training ...`.

Exit codes: 0 done, 2 something to be mended by a person, 3 unhealthy (numbers that are not finite, or a collapse, after
all roll backs), 75 preempted by SIGTERM or Ctrl-C after writing a checkpoint: the same command goes on from it.
(`torchrun` itself ends with 1 where a process of its ends with any but 0.)
"""

import argparse
import fcntl
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import torch

from gan_models.bundles.description import read_description
from gan_models.config import EvaluateConfig, TrainConfig, read_train_config, read_yaml, validate
from gan_models.errors import AtelierError, is_mendable
from gan_models.escaping import for_terminal
from gan_models.files import is_disk_full
from gan_models.text import one_line
from gan_models.training.checkpoints import CheckpointError
from gan_models.training.devices import device_for
from gan_models.training.distributed import is_first_process, join, num_processes
from gan_models.training.dry_run import describe
from gan_models.training.health import UnhealthyError
from gan_models.training.identity import config_digest
from gan_models.training.loop import Outcome, Trainer
from gan_models.training.placement import load_data
from gan_models.training.progress import ProgressBars

USER_ERROR, UNHEALTHY = 2, 3


class StoppedError(AtelierError):
    """The run was asked to stop before its first step."""


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gan_models.training", description="Train a model to a bundle.")
    parser.add_argument("--config", type=Path, required=True, help="a YAML file with a section train")
    parser.add_argument("--data", type=Path, required=True, help="directory of a dataset's Parquet shards")
    parser.add_argument("--out", type=Path, required=True, help="directory of the run; where it has begun, it goes on")
    parser.add_argument("--steps", type=int, help="in place of the config's")
    parser.add_argument("--cache", type=Path, help="directory of decoded images that are mapped; default: OUT/../cache")
    parser.add_argument("--dry-run", action="store_true", help="print what would be trained, and write nothing")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.INFO if sys.stderr.isatty() else logging.WARNING)
    try:
        config = read_train_config(options.config)
        if options.steps is not None:
            config = validate(TrainConfig, {**config.model_dump(), "steps": options.steps}, "--steps")
        evaluate = _evaluate_section(options.config)
        device = device_for(config)
        if options.dry_run:
            print(describe(config, options.data, device, num_processes(), evaluate))
            return Outcome.DONE
        cache = options.cache or options.out.absolute().parent / "cache"
        return _train(config, evaluate, options.data, options.out, cache, device)
    except UnhealthyError as error:
        return _fail(f"training is unhealthy and was stopped: {error}", UNHEALTHY)
    except torch.OutOfMemoryError as error:
        reason = str(error).split(". ")[0]
        return _fail(f"the GPU's memory does not suffice ({reason}); lower train.batch_size", USER_ERROR)
    except (AtelierError, OSError) as error:
        if isinstance(error, OSError) and is_disk_full(error):
            return _fail(f"no space left for {error.filename or options.out}; free some and run again", USER_ERROR)
        if not is_mendable(error):
            raise
        return _fail(one_line(error), USER_ERROR)


def _train(
    config: TrainConfig, evaluate: EvaluateConfig | None, data: Path, out: Path, cache: Path, device: torch.device
) -> int:
    with join(device) as processes, ExitStack() as until_the_end:
        if processes.on_first(lambda: _enter(config, out, until_the_end)):
            return Outcome.DONE
        is_asked_to_stop = until_the_end.enter_context(_signals_noted())
        with ProgressBars(config.steps, is_shown=processes.is_first) as bars:

            def decoded(done: int, total: int) -> None:
                if is_asked_to_stop():
                    raise StoppedError
                bars.decoded(done, total)

            try:
                loaded = load_data(data, config, device, cache, processes.count, decoded, evaluate)
            except StoppedError:
                return Outcome.PREEMPTED
            if processes.is_first:
                for note in loaded.notes:
                    print(note, file=sys.stderr)
            trainer = Trainer(config, loaded.training, loaded.previews, out, device, processes, loaded.place)
            outcome = trainer.run(is_asked_to_stop, bars.trained)
        if outcome is Outcome.PREEMPTED and processes.is_first:
            print(f"stopped at step {trainer.step} as asked; run again to go on", file=sys.stderr)
        return outcome


def _evaluate_section(config: Path) -> EvaluateConfig | None:
    """How the model will be measured, where the file says it; the files that the section names may be elsewhere."""
    content = read_yaml(config).get("evaluate")
    return None if content is None else validate(EvaluateConfig, content, f"{config}, section evaluate")


def _enter(config: TrainConfig, out: Path, until_the_end: ExitStack) -> bool:
    """Take possession of the directory of a run, and return whether it has been finished."""
    out.mkdir(parents=True, exist_ok=True)
    lock = until_the_end.enter_context((out / ".lock").open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # It is held until the process ends, however it ends.
    except BlockingIOError:
        raise CheckpointError(f"another process is training into {out}; wait for it or stop it") from None
    if not (out / "bundle").exists():
        return False
    if read_description(out / "bundle").config_digest != config_digest(config):
        raise CheckpointError(f"{out} holds a finished run of another config; train into another directory")
    return True


@contextmanager
def _signals_noted() -> Iterator[Callable[[], bool]]:
    """Only note SIGTERM and Ctrl-C within the context, and yield whether one has asked the run to stop."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fail(message: str, code: int) -> int:
    if is_first_process():  # The others would print the same.
        print(f"error: {for_terminal(message)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
