"""Errors in the logs of the servers and workers of `atelier up`: each shown once, then no more for a while."""

import re
import time
from pathlib import Path

from flows.runtime.followed_file import FollowedFile

SECONDS_OF_SILENCE = 600.0  # after an error was shown
MAX_SHOWN = 5  # different errors of one server in that time
ERROR = re.compile(r"\b(ERROR|CRITICAL)\b")
TRACEBACK = "Traceback (most recent call last)"


class ServerErrors:
    """Reads a server's log as it grows, and returns the errors that were not shown lately."""

    def __init__(self, log: Path) -> None:
        self._log = FollowedFile(log)
        self._shown: dict[str, float] = {}
        self._in_traceback = False

    def new(self) -> list[str]:
        """Return the errors to show now: the lines that say ERROR, and the last line of each traceback."""
        now = time.monotonic()
        self._shown = {kind: when for kind, when in self._shown.items() if now - when < SECONDS_OF_SILENCE}
        errors = []
        for line in self._log.all_new_lines():
            kind = re.sub(r"[0-9a-f-]{32,36}|[0-9]+|\s+", " ", line)  # the same at another time, of another run
            if self._is_error(line) and kind not in self._shown and len(self._shown) < MAX_SHOWN:
                self._shown[kind] = now
                errors.append(line.strip())
        return errors

    def _is_error(self, line: str) -> bool:
        if TRACEBACK in line:
            self._in_traceback = True
        elif self._in_traceback and line.strip() and not line.startswith((" ", "\t", "|")):
            self._in_traceback = False
            return True
        return bool(ERROR.search(line))
