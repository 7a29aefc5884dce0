"""The roll backs of a run, on disk: a run that is interrupted after one remembers it."""

import json
from pathlib import Path
from typing import Any

from gan_models.files import write_durably


class Rollbacks:
    """What went wrong and where the run went back to, in `rollbacks.json` next to the checkpoints.

    Args:
        directory: of the checkpoints.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "rollbacks.json"
        self.entries: list[dict[str, Any]] = json.loads(self.path.read_bytes()) if self.path.exists() else []

    def __len__(self) -> int:
        return len(self.entries)

    def led_to(self, step: int) -> bool:
        """Return whether the last one went back to the checkpoint of `step`."""
        return bool(self.entries) and bool(self.entries[-1]["to"] == step)

    def add(self, step: int, to: int, reason: str) -> None:
        """Note that the run went from `step` back to the checkpoint of step `to`."""
        self.entries.append({"step": step, "to": to, "reason": reason})
        write_durably(self.path, json.dumps(self.entries, indent=2).encode())
