"""What a training process writes to its folder, sent to MLflow as it appears.

The folder is the buffer: while MLflow refuses or hangs, training goes on at its speed, watched as before, and the rows
wait in `metrics.jsonl`. How far they were sent is kept next to it, so that a resumed run sends nothing twice.
"""

import json
import re
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.runtime.followed_file import FollowedFile
from flows.runtime.progress import echo
from flows.tracking.attempts import StaleAttemptError
from flows.tracking.errors import TrackingError
from flows.tracking.runs import Tracking
from gan_models.text import one_line

SECONDS_BETWEEN_BATCHES = 5.0
SECONDS_AFTER_A_FAILURE = 30.0
FINAL_ATTEMPTS = 12  # in some seven minutes: longer than a server takes to restart
MAX_PAUSE_SECONDS = 60.0
MAX_BATCH_SECONDS = 600.0  # for what is on its way when training ends


class MetricsForwarder:
    """Sends `metrics.jsonl` and `samples/step-*.png` of a training folder to one MLflow run."""

    def __init__(self, tracking: Tracking, run_id: str, folder: Path) -> None:
        self.tracking = tracking
        self.run_id = run_id
        self.samples = folder / "samples"
        self.state_file = folder / "sent.json"
        state = self._state()
        metrics = folder / "metrics.jsonl"
        self.sent = FollowedFile(metrics, state.get("offset", 0), state.get("tail", ""))
        self.sent_step: int = state.get("step", -1)
        self.sent_samples: set[str] = set(state.get("samples", []))
        self.seen = FollowedFile(metrics)
        self.newest: dict[str, Any] | None = None
        self.next_batch = 0.0
        self._sending: threading.Thread | None = None
        self._stale: StaleAttemptError | None = None

    def send_new(self) -> dict[str, Any] | None:
        """Begin to send what has appeared, if a batch is due and none is on its way; MLflow is not waited for.

        Returns:
            The newest row of `metrics.jsonl`, or None before there is one.

        Raises:
            StaleAttemptError: another attempt has taken up the run.
        """
        if self._stale:
            raise self._stale
        if time.monotonic() >= self.next_batch and not (self._sending and self._sending.is_alive()):
            self._sending = threading.Thread(target=self._send_batch, daemon=True)
            self._sending.start()
        while lines := self.seen.new_lines():
            self.newest = json.loads(lines[-1])
        return self.newest

    def wait(self) -> None:
        """Wait for the batch that is on its way.

        Raises:
            TrackingError: MLflow neither takes nor refuses it, or another attempt has taken up the run.
        """
        if self._sending:
            self._sending.join(MAX_BATCH_SECONDS)
            if self._sending.is_alive():
                raise TrackingError(
                    f"MLflow has not answered for {MAX_BATCH_SECONDS:.0f} s; run again, nothing is trained again"
                )
        if self._stale:
            raise self._stale

    def flush(self) -> None:
        """Send all that is left.

        Raises:
            TrackingError: MLflow has not taken it after several attempts, or another attempt has taken up the run.
        """
        self.wait()
        end = time.monotonic() + MAX_BATCH_SECONDS
        for attempt in range(FINAL_ATTEMPTS):
            try:
                return self._send()
            except StaleAttemptError:
                raise
            except Exception as error:
                reason = one_line(error, 300)
                if time.monotonic() > end:
                    break
                time.sleep(min(2.0**attempt, MAX_PAUSE_SECONDS))
        raise TrackingError(f"MLflow did not take the run's metrics: {reason}; run again, nothing is trained again")

    def _send_batch(self) -> None:
        self.next_batch = time.monotonic() + SECONDS_BETWEEN_BATCHES
        try:
            self._send()
        except StaleAttemptError as error:
            self._stale = error
        except Exception as error:  # whatever MLflow's client raises, training is not to stop for it
            self.next_batch = time.monotonic() + SECONDS_AFTER_A_FAILURE
            echo(f"MLflow takes no metrics now, they are kept and sent later ({one_line(error, 120)})")

    def _state(self) -> dict[str, Any]:
        """Return how far this run was sent, nothing where it was another one."""
        try:
            state = dict(json.loads(self.state_file.read_text()))
        except (FileNotFoundError, ValueError):  # damaged: MLflow takes a row that it has already
            return {}
        return state if state.get("run_id") == self.run_id else {}

    def _send(self) -> None:
        """Send rows beyond the last step that was sent: those of a step that a rollback repeats are not sent twice."""
        self.tracking.check_current(self.run_id)
        following = replace(self.sent)
        while lines := following.new_lines():
            rows = [row for row in map(json.loads, lines) if row["step"] > self.sent_step]
            flat = [(name, value, row["step"], row["time"]) for row in rows for name, value in row["values"].items()]
            if flat:
                self.tracking.log_metrics(self.run_id, flat)
                self.sent_step = rows[-1]["step"]
            self.sent = replace(following)
            self._remember()
        for picture in sorted(self.samples.glob("step-*.png")):
            if picture.name not in self.sent_samples:
                step = int(re.sub(r"\D", "", picture.stem))
                self.tracking.log_picture(self.run_id, picture, "samples", step)
                self.sent_samples.add(picture.name)
                self._remember()

    def _remember(self) -> None:
        state = {
            "run_id": self.run_id,
            "step": self.sent_step,
            "offset": self.sent.offset,
            "tail": self.sent.tail,
            "samples": sorted(self.sent_samples),
        }
        temporary = self.state_file.with_suffix(".tmp")
        temporary.write_text(json.dumps(state))
        temporary.replace(self.state_file)
