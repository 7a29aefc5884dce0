"""What a run leaves for others to read: `metrics.jsonl` and `samples/*.png`."""

import io
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image
from torch import Tensor

from gan_models.files import write_durably


class RunLog:
    """Appends metrics, a JSON object a line, and writes sample pictures.

    Args:
        directory: of the run; it exists.
        num_steps: of the whole run, repeated on each line.
        resumed_step: the step that the run goes on from. Lines of later steps are dropped: they will come again.
        may_write: raises a CheckpointError where the run is another process's by now; asked before anything is written.
    """

    def __init__(
        self, directory: Path, num_steps: int, resumed_step: int, may_write: Callable[[], None] = lambda: None
    ) -> None:
        self.metrics_path = directory / "metrics.jsonl"
        self.samples_directory = directory / "samples"
        self.num_steps = num_steps
        self.may_write = may_write
        self.rewind(resumed_step)

    def rewind(self, step: int) -> None:
        """Drop the lines of steps after `step`, and whatever a crash left of a line."""
        self.may_write()
        lines = self.metrics_path.read_bytes().splitlines() if self.metrics_path.exists() else []
        kept = [line + b"\n" for line in lines if _step_of(line) <= step]
        write_durably(self.metrics_path, b"".join(kept))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append the values of `step`, all of them finite."""
        self.may_write()
        line = {"step": step, "steps": self.num_steps, "time": time.time(), "values": dict(values)}
        with self.metrics_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")

    def write_sample(self, step: int, picture: Tensor) -> None:
        """Write a picture, uint8 [C, H, W] with 1 or 3 channels, as `samples/step-000250.png`."""
        self.may_write()
        self.samples_directory.mkdir(exist_ok=True)
        content = io.BytesIO()
        pixels = picture.permute(1, 2, 0).cpu().numpy()
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(content, "PNG")
        write_durably(self.samples_directory / f"step-{step:06d}.png", content.getvalue())


def _step_of(line: bytes) -> float:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
