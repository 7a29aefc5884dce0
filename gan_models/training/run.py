"""One training from shards to a bundle: what `python -m gan_models.training` does."""

import fcntl
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from gan_models.bundles.description import read_description
from gan_models.config import EvaluateConfig, TrainConfig
from gan_models.errors import AtelierError
from gan_models.training.checkpoints import CheckpointError
from gan_models.training.devices import device_for
from gan_models.training.distributed import join
from gan_models.training.identity import config_digest
from gan_models.training.loop import Outcome, Trainer
from gan_models.training.ownership import Ownership
from gan_models.training.placement import load_data
from gan_models.training.progress import ProgressBars


class StoppedError(AtelierError):
    """The run was asked to stop before its first step."""


def train(
    config: TrainConfig, data: Path, out: Path, *, cache: Path | None = None, evaluate: EvaluateConfig | None = None
) -> Outcome:
    """Train a model to the bundle `out / "bundle"`, or go on from the newest checkpoint of a run that was stopped.

    SIGTERM and Ctrl-C end it after the step under way, with a checkpoint. Under `torchrun`, each process calls this.

    Args:
        config: of the run.
        data: directory of the dataset's shards.
        out: directory of the run, made where there is none.
        cache: directory of decoded images that are mapped; None: `cache` beside `out`.
        evaluate: how the model will be measured, where that is known: data that is too small for it is then refused.

    Returns:
        Whether it is done, by this call or an earlier one, or was stopped.

    Raises:
        ConfigError: the device is not there, or the batches cannot be shared by the processes.
        DataError: the dataset is damaged, too small, or does not fit the config.
        BundleError: the run cannot begin from the bundle that the config names.
        CheckpointError: `out` is in use, holds a run of another config, or its checkpoints cannot be read or written.
        UnhealthyError: numbers that are not finite or a collapse, again after all roll backs.
    """
    device = device_for(config)
    cache = cache or out.absolute().parent / "cache"
    with join(device) as processes, ExitStack() as until_the_end:
        if processes.on_first(lambda: _enter(config, out, until_the_end)):
            return Outcome.DONE
        may_write = Ownership(out).check if processes.is_first else lambda: None
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
            trainer = Trainer(config, loaded.training, loaded.previews, out, device, processes, loaded.place, may_write)
            outcome = trainer.run(is_asked_to_stop, bars.trained)
        if outcome is Outcome.PREEMPTED and processes.is_first:
            print(f"stopped at step {trainer.step} as asked; run again to go on", file=sys.stderr)
        return outcome


def _enter(config: TrainConfig, out: Path, until_the_end: ExitStack) -> bool:
    """Take possession of the directory of a run, and return whether it has been finished."""
    out.mkdir(parents=True, exist_ok=True)
    lock = until_the_end.enter_context((out / ".lock").open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # However the process ends, it is released.
    except BlockingIOError:
        raise CheckpointError(f"another process is training into {out}; wait for it or stop it") from None
    if not (out / "bundle").exists():
        return False
    if read_description(out / "bundle").config_digest != config_digest(config):
        raise CheckpointError(f"{out} holds a finished run of another config; train into another directory")
    return True


@contextmanager
def _signals_noted() -> Iterator[Callable[[], bool]]:
    """Only note SIGTERM and Ctrl-C within the context, and yield whether one has asked the run to stop.

    Python gives signals to the main thread alone; in another one, nothing is noted.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    numbers = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
