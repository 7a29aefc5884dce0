"""What a training process writes to its folder, sent to MLflow as it appears.

The folder is the buffer: while MLflow refuses or hangs, training goes on at its speed and the rows wait in
`metrics.jsonl`. How far they were sent is kept beside it, so that a resumed run sends nothing twice.
"""

import json
import re
import time
from pathlib import Path
from typing import Any

from flows.runtime.progress import echo
from flows.tracking.client import TrackingError
from flows.tracking.runs import Tracking

SECONDS_BETWEEN_BATCHES = 5.0
SECONDS_AFTER_A_FAILURE = 30.0
FINAL_ATTEMPTS = 5


class RunMirror:
    """Sends `metrics.jsonl` and `samples/step-*.png` of a training folder to one MLflow run."""

    def __init__(self, tracking: Tracking, run_id: str, folder: Path) -> None:
        self.tracking = tracking
        self.run_id = run_id
        self.metrics = folder / "metrics.jsonl"
        self.samples = folder / "samples"
        self.sent_file = folder / "sent.json"
        sent = self._sent()
        same_run = sent.get("run_id") == run_id
        self.sent_step: int = sent["step"] if same_run else -1
        self.sent_samples: set[str] = set(sent["samples"]) if same_run else set()
        self.next_batch = 0.0

    def send_new(self) -> dict[str, Any] | None:
        """Send what has appeared, if a batch is due.

        Returns:
            The newest row of `metrics.jsonl`, or None before there is one.
        """
        rows = self._rows()
        if time.monotonic() >= self.next_batch:
            self.next_batch = time.monotonic() + SECONDS_BETWEEN_BATCHES
            try:
                self._send(rows)
            except Exception as error:  # whatever MLflow's client raises, training is not to stop for it
                self.next_batch = time.monotonic() + SECONDS_AFTER_A_FAILURE
                echo(f"MLflow takes no metrics now, they are kept and sent later ({str(error)[:120]})")
        return rows[-1] if rows else None

    def flush(self) -> None:
        """Send all that is left.

        Raises:
            TrackingError: MLflow has not taken it after several attempts.
        """
        for attempt in range(FINAL_ATTEMPTS):
            try:
                return self._send(self._rows())
            except Exception as error:
                reason = str(error)
                time.sleep(2.0**attempt)
        raise TrackingError(f"MLflow did not take the run's metrics: {reason}; run again, nothing needs training anew")

    def _sent(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.sent_file.read_text()))
        except (FileNotFoundError, ValueError):  # damaged: MLflow takes a row that it has already
            return {}

    def _rows(self) -> list[dict[str, Any]]:
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text().split("\n")[:-1]  # the last line may still be being written
        return [json.loads(line) for line in lines]

    def _send(self, rows: list[dict[str, Any]]) -> None:
        new = [row for row in rows if row["step"] > self.sent_step]
        flat = [(name, value, row["step"], row["time"]) for row in new for name, value in row["values"].items()]
        if flat:
            self.tracking.log_metrics(self.run_id, flat)
            self.sent_step = new[-1]["step"]
            self._remember()
        for picture in sorted(self.samples.glob("step-*.png")):
            if picture.name not in self.sent_samples:
                step = int(re.sub(r"\D", "", picture.stem))
                self.tracking.log_picture(self.run_id, picture, "samples", step)
                self.sent_samples.add(picture.name)
                self._remember()

    def _remember(self) -> None:
        state = {"run_id": self.run_id, "step": self.sent_step, "samples": sorted(self.sent_samples)}
        temporary = self.sent_file.with_suffix(".tmp")
        temporary.write_text(json.dumps(state))
        temporary.replace(self.sent_file)
