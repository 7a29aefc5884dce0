"""Train a model: `python -m gan_models.training --config configs/x.yaml --data data/x --out runs/x`.

Several processes train together under `torchrun --nproc-per-node 2 -m gan_models.training ...`.

Exit codes: 0 done, 2 something to be mended by a person, 3 unhealthy (numbers that are not finite, or a collapse, after
all roll backs), 75 preempted by SIGTERM or Ctrl-C after writing a checkpoint: the same command goes on from it.
(`torchrun` itself ends with 1 where a process of its ends with any but 0.)
"""

import argparse
import logging
import sys
from pathlib import Path

import torch

from gan_models.config import EvaluateConfig, TrainConfig, read_train_config, read_yaml, validate
from gan_models.errors import AtelierError, is_mendable
from gan_models.escaping import for_terminal
from gan_models.files import is_disk_full
from gan_models.text import one_line
from gan_models.training.devices import device_for
from gan_models.training.distributed import is_first_process, num_processes
from gan_models.training.dry_run import describe
from gan_models.training.health import UnhealthyError
from gan_models.training.loop import Outcome
from gan_models.training.run import train

USER_ERROR, UNHEALTHY = 2, 3


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
        if options.dry_run:
            print(describe(config, options.data, device_for(config), num_processes(), evaluate))
            return Outcome.DONE
        return train(config, options.data, options.out, cache=options.cache, evaluate=evaluate)
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


def _evaluate_section(config: Path) -> EvaluateConfig | None:
    """How the model will be measured, where the file says it; the files that the section names may be elsewhere."""
    content = read_yaml(config).get("evaluate")
    return None if content is None else validate(EvaluateConfig, content, f"{config}, section evaluate")


def _fail(message: str, code: int) -> int:
    if is_first_process():  # The others would print the same.
        print(f"error: {for_terminal(message)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
