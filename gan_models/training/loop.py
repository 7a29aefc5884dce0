"""The training loop."""

import logging
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

import torch

from gan_models.bundles.bundle import save_bundle
from gan_models.config import TrainConfig
from gan_models.data.image_set import TrainingData
from gan_models.images.randomness import random_for
from gan_models.recipes import build_recipe
from gan_models.training.batches import Batches
from gan_models.training.checkpoints import Checkpoints
from gan_models.training.devices import prepare, share_statistics
from gan_models.training.distributed import ALONE, Processes
from gan_models.training.ema import ExponentialMovingAverage
from gan_models.training.health import (
    CollapseWatch,
    HealthMonitor,
    UnhealthyError,
    check_weights,
    real_diversity,
    saturates,
)
from gan_models.training.identity import config_digest, identity
from gan_models.training.initial_weights import initialize_from
from gan_models.training.placement import NUM_PREVIEW_IMAGES, Place
from gan_models.training.rollbacks import Rollbacks
from gan_models.training.run_log import RunLog
from gan_models.training.state import restore_state, state_of

logger = logging.getLogger(__name__)

Report = Callable[[int, dict[str, float]], None]


class Outcome(IntEnum):
    """How a run ended, as the exit code of its process."""

    DONE = 0
    PREEMPTED = 75  # It is EX_TEMPFAIL: the run can go on.


class Trainer:
    """One training run in one directory. `run` starts it or goes on from its newest checkpoint.

    Args:
        config: of the run.
        data: to train on.
        previews: what sample pictures are made from, where they are made from images; not trained on.
        out: directory of the run; it exists.
        device: to train on.
        processes: that train together. The first writes all files; a batch is shared by all.
        place: where the images of `data` are to live.
        may_write: raises a CheckpointError where the directory is another process's by now.

    Raises:
        ConfigError: batches cannot be shared equally.
        CheckpointError: the directory holds another run, or its checkpoints are all damaged.
        BundleError: the run cannot begin from the bundle that the config names.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: TrainingData,
        previews: TrainingData,
        out: Path,
        device: torch.device,
        processes: Processes = ALONE,
        place: Place = "device",
        may_write: Callable[[], None] = lambda: None,
    ) -> None:
        self.may_write = may_write
        self.config, self.data, self.out, self.device, self.processes = config, data, out, device, processes
        self.share = processes.share(config.batch_size)
        prepare(device, config.speed)
        self.recipe = build_recipe(config, len(data.label_names), device)
        share_statistics(self.recipe, processes)
        if config.init_from:
            initialize_from(Path(config.init_from), self.recipe.generator, config, data.label_names)
        self.ema = ExponentialMovingAverage(self.recipe.generator, config.ema_half_life_images)
        if config.speed.compile:
            self.recipe.generator.compile()
        self.batches = Batches(data, config, device, self.share, place)
        self.preview_batch = Batches(previews, config, device).fixed(NUM_PREVIEW_IMAGES)
        self.monitor = HealthMonitor(processes)
        draws_labels = config.recipe.task == "generate" and config.recipe.uses_labels
        diversity = real_diversity(data.targets or data.images, draws_labels)
        judges_accuracy = saturates(self.recipe)
        self.collapse_watch = CollapseWatch(config.health, config.steps, diversity, judges_accuracy=judges_accuracy)
        facts = {**identity(config), "data": data.digest}
        self.checkpoints = Checkpoints(out / "checkpoints", config.keep_checkpoints, facts, may_write)
        self.rollbacks = processes.on_first(lambda: Rollbacks(self.checkpoints.directory))
        self.step, self.saved_step = 0, -1
        self._seen: tuple[int, dict[str, float]] = (-1, {})
        self._load()
        self.log = RunLog(out, config.steps, self.step, may_write) if processes.is_first else None

    def run(
        self, should_stop: Callable[[], bool] = lambda: False, progress: Report = lambda step, values: None
    ) -> Outcome:
        """Train to the last step and write the bundle.

        Args:
            should_stop: asked after each step; where it returns true, the run writes a checkpoint and ends.
            progress: called with the step and the values each time that some are logged.

        Raises:
            UnhealthyError: numbers that are not finite or a collapse, again after all roll backs.
            CheckpointError: a checkpoint could not be written.
        """
        if self.step == 0:
            self._preview()  # A reviewer's series of pictures starts with it.
            self._save()  # There is always something to go back to.
        while self.step < self.config.steps:
            try:
                if self._train(should_stop, progress) is Outcome.PREEMPTED:
                    return Outcome.PREEMPTED
            except UnhealthyError as error:
                self._roll_back(error)
        self.processes.on_first(self._write_bundle)
        return Outcome.DONE

    def _train(self, should_stop: Callable[[], bool], progress: Report) -> Outcome:
        config, last = self.config, self.config.steps
        timed_from, timed_step = time.perf_counter(), self.step
        while self.step < last:
            if self.processes.any(should_stop()):
                self._save()
                return Outcome.PREEMPTED
            step = self.step + 1
            random = random_for(config.seed, "step", step, device=self.device, share=self.share)
            losses = self.recipe.training_step(self.batches.at(step), step, random)
            self.ema.update(self.recipe.generator, step * config.batch_size, config.batch_size)
            self.monitor.report(step, losses)
            self.step = step

            values: dict[str, float] = {}
            if step % config.log_every == 0 or step == last:
                values |= self.monitor.check()
                seconds = time.perf_counter() - timed_from
                values["throughput/images_per_second"] = (step - timed_step) * config.batch_size / seconds
            if step % config.sample_every == 0 or step == last:
                values |= self._preview()
            if values:
                self.collapse_watch.look(step, values)
                if self.log:
                    self.log.write(step, values)
                    progress(step, values)
                timed_from, timed_step = time.perf_counter(), step
            if step % config.checkpoint_every == 0 or step == last:
                self._save()
        return Outcome.DONE

    def _preview(self, *, is_kept: bool = True) -> dict[str, float]:
        """Return what this step's preview measures; the first process makes it and may write its picture."""

        def preview() -> dict[str, float]:
            random = random_for(self.config.seed, "preview", device=self.device)
            picture, values = self.recipe.preview(self.ema.network, self.preview_batch, random)
            if is_kept and self.log:
                self.log.write_sample(self.step, picture)
            return values

        values = self.processes.on_first(preview)
        self._seen = self.step, values
        return values

    def _save(self) -> None:
        """Keep the state, once it has been found healthy."""
        if self.step == self.saved_step:
            return
        self.monitor.check()
        networks = {**self.recipe.networks, "ema": self.ema.network}
        self.processes.on_first(lambda: check_weights(networks, self.step))
        values = self._seen[1] if self._seen[0] == self.step else self._preview(is_kept=False)
        self.collapse_watch.look(self.step, values)
        state = state_of(self.recipe, self.ema, self.processes)
        self.processes.on_first(lambda: self.checkpoints.save(self.step, state))
        self.saved_step = self.step

    def _load(self) -> None:
        latest = self.processes.on_first(self.checkpoints.load_latest)
        if latest is not None:
            self.step, state = latest
            self.saved_step = self.step
            restore_state(state, self.recipe, self.ema, self.processes)
            logger.info("going on from the checkpoint of step %d", self.step)
        self.recipe.learning_rate_scale = self.config.health.learning_rate_factor ** len(self.rollbacks)

    def _roll_back(self, error: UnhealthyError) -> None:
        """Go back to the last checkpoint with a lower learning rate, if the config allows one time more."""
        if len(self.rollbacks) >= self.config.health.rollbacks:
            raise UnhealthyError(f"{error}; it was rolled back {len(self.rollbacks)} times before") from error

        def go_back() -> Rollbacks:
            self.may_write()
            if self.rollbacks.led_to(self.saved_step):  # From there it has gone wrong before, so go one further.
                self.checkpoints.discard(self.saved_step)
            self.rollbacks.add(self.step, self.checkpoints.latest_step(), str(error))
            return self.rollbacks

        self.rollbacks = self.processes.on_first(go_back)
        self.monitor = HealthMonitor(self.processes)
        self._load()
        if self.log:
            logger.warning("%s; went back to step %d with a lower learning rate", error, self.step)
            self.log.rewind(self.step)

    def _write_bundle(self) -> None:
        self.may_write()
        save_bundle(
            self.out / "bundle",
            self.ema.network,
            recipe=self.config.recipe,
            image=self.config.image,
            label_names=self.data.label_names,
            num_steps=self.config.steps,
            config_digest=config_digest(self.config),
            data_digest=self.data.digest,
        )
