"""The training loop."""

import hashlib
import logging
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

import torch

from gan_models.config import TrainConfig
from gan_models.images.image_set import TrainingData
from gan_models.images.randomness import random_for
from gan_models.inference.bundle import save_bundle
from gan_models.recipes import build_recipe
from gan_models.training.batches import Batches
from gan_models.training.checkpoints import Checkpoints
from gan_models.training.ema import ExponentialMovingAverage
from gan_models.training.health import HealthMonitor, UnhealthyError, check_weights
from gan_models.training.run_log import RunLog

logger = logging.getLogger(__name__)

ROLLBACKS = 1  # how often a run may go back to its last checkpoint before it gives up
ROLLBACK_LEARNING_RATE = 0.5  # what a rollback multiplies the learning rate by
NUM_PREVIEW_IMAGES = 8


class Outcome(IntEnum):
    """How a run ended, as the exit code of its process."""

    DONE = 0
    PREEMPTED = 75  # EX_TEMPFAIL: run it again


def config_digest(config: TrainConfig) -> str:
    """SHA-256 of all that decides the result: the config without the device."""
    return hashlib.sha256(config.model_dump_json(exclude={"device"}).encode()).hexdigest()


class Trainer:
    """One training run in one directory. `run` starts it or goes on from its newest checkpoint.

    Args:
        config: of the run.
        data: to train on.
        previews: what sample pictures are made from, where they are made from images; not trained on.
        out: directory of the run; it exists.
        device: to train on.
    """

    def __init__(
        self, config: TrainConfig, data: TrainingData, previews: TrainingData, out: Path, device: torch.device
    ) -> None:
        self.config, self.data, self.out, self.device = config, data, out, device
        self.recipe = build_recipe(config, len(data.label_names), device)
        self.ema = ExponentialMovingAverage(self.recipe.generator, config.ema_half_life_images)
        self.batches = Batches(data, config, device)
        self.preview_batch = Batches(previews, config, device).fixed(NUM_PREVIEW_IMAGES)
        identity = {**config.model_dump(mode="json", exclude={"device"}), "data": data.digest}
        self.checkpoints = Checkpoints(out / "checkpoints", config.keep_checkpoints, identity)
        self.monitor = HealthMonitor()
        self.step = self.saved_step = self.rollbacks = 0
        self._load()
        self.log = RunLog(out, config.steps, self.step)

    def run(
        self,
        should_stop: Callable[[], bool] = lambda: False,
        progress: Callable[[int, dict[str, float]], None] | None = None,
    ) -> Outcome:
        """Train to the last step and write the bundle.

        Args:
            should_stop: asked after each step; where it says so, the run writes a checkpoint and ends.
            progress: told the step and the values each time that some are logged.

        Raises:
            UnhealthyError: losses or weights that are not finite, again after a rollback.
            CheckpointError: a checkpoint could not be written.
        """
        if self.step == 0:
            self._write_sample()  # where it starts from: the first picture of the series that a reviewer pages through
        while self.step < self.config.steps:
            try:
                outcome = self._train(should_stop, progress or (lambda step, values: None))
            except UnhealthyError as error:
                self._roll_back(error)
                continue
            if outcome is Outcome.PREEMPTED:
                return outcome
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
        return Outcome.DONE

    def _train(self, should_stop: Callable[[], bool], progress: Callable[[int, dict[str, float]], None]) -> Outcome:
        config, last = self.config, self.config.steps
        timed_from, timed_step = time.perf_counter(), self.step
        while self.step < last:
            if should_stop():
                self._save()
                return Outcome.PREEMPTED
            step = self.step + 1
            random = random_for(config.seed, "step", step, device=self.device)
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
                values |= self._write_sample()
            if values:
                self.log.write(step, values)
                progress(step, values)
                timed_from, timed_step = time.perf_counter(), step
            if step % config.checkpoint_every == 0 or step == last:
                self._save()
        return Outcome.DONE

    def _write_sample(self) -> dict[str, float]:
        random = random_for(self.config.seed, "preview", device=self.device)
        picture, values = self.recipe.preview(self.ema.network, self.preview_batch, random)
        self.log.write_sample(self.step, picture)
        return values

    def _save(self) -> None:
        """Keep the state, once it has been found healthy."""
        if self.step == self.saved_step:
            return
        self.monitor.check()
        check_weights({**self.recipe.networks, "ema": self.ema.network}, self.step)
        state = {"recipe": self.recipe.state_dict(), "ema": self.ema.state_dict(), "rollbacks": self.rollbacks}
        self.checkpoints.save(self.step, state)
        self.saved_step = self.step

    def _load(self) -> None:
        latest = self.checkpoints.load_latest()
        if latest is None:
            return
        self.step, state = latest
        self.saved_step = self.step
        self.recipe.load_state_dict(state["recipe"])
        self.ema.load_state_dict(state["ema"])
        self.rollbacks = state["rollbacks"]
        logger.info("going on from the checkpoint of step %d", self.step)

    def _roll_back(self, error: UnhealthyError) -> None:
        """Go back to the last checkpoint with a lower learning rate, at most `ROLLBACKS` times."""
        rollbacks = self.rollbacks + 1
        if rollbacks > ROLLBACKS or self.saved_step == 0:
            raise error
        logger.warning("%s; going back to step %d with a lower learning rate", error, self.saved_step)
        self.monitor = HealthMonitor()
        self._load()
        self.rollbacks = rollbacks
        self.recipe.learning_rate_scale *= ROLLBACK_LEARNING_RATE
        self.log.rewind(self.step)
