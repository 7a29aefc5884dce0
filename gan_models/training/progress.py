"""Progress bars of a run, for who watches it in a terminal."""

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class ProgressBars:
    """One bar for decoding images and one for training, on standard error; where that is no terminal, none.

    Args:
        num_steps: of the run.
        is_shown: no bars where it is false, as in all processes but the first.
    """

    def __init__(self, num_steps: int, *, is_shown: bool = True) -> None:
        self.num_steps = num_steps
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            disable=not (is_shown and sys.stderr.isatty()),
        )
        self._decoding: TaskID | None = None
        self._training: TaskID | None = None

    def __enter__(self) -> "ProgressBars":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def decoded(self, done: int, total: int) -> None:
        """Show how many images are decoded."""
        if self._decoding is None or done == 1:  # A second set of images has a bar of its own.
            self._decoding = self._bars.add_task("decode", total=total, note="images")
        self._bars.update(self._decoding, completed=done)

    def trained(self, step: int, values: dict[str, float]) -> None:
        """Show how far training is, and how fast."""
        if self._training is None:
            self._training = self._bars.add_task("train", total=self.num_steps, note="")
        speed = values.get("throughput/images_per_second")
        if speed:
            self._bars.update(self._training, note=f"{speed:,.0f} images/s")
        self._bars.update(self._training, completed=step)
