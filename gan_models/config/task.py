"""What models do with images: the list of tasks, which no fingerprint holds."""

from typing import Literal

Task = Literal["generate", "restore", "translate", "stylize"]
