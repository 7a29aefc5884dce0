"""A server or worker of `atelier up`: started, started again where it dies, and stopped with all it has started."""

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flows.runtime.grace import FLOW_SECONDS
from flows.runtime.process_tree import MARK, end_marked, ended_with_parent, new_mark, signals_held
from gan_models.errors import AtelierError

MOST_DEATHS = 5  # within the next, and it is given up
SECONDS_COUNTED = 300.0
LONGEST_REST = 30.0  # before it is started again; 1 s after its first death, then twice as long each time


class ServerError(AtelierError):
    """A server that could not be started or that ended; the message says where to look or what to choose."""


class ChildProcess:
    """A process in a session of its own: Ctrl-C is for this one, which stops the others in order.

    Should this process be killed, that one is sent SIGTERM (on Linux).
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.name, self.log = name, log
        self._command, self._folder, self._environment = command, folder, environment
        self._deaths: list[float] = []
        self._cleaning: threading.Thread | None = None
        log.write_bytes(b"")
        self._start()

    @property
    def pid(self) -> int:
        """Return its number, another one each time it was started."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Return whether it lives."""
        return self._process.poll() is None

    def tend(self, say: Callable[[str], None]) -> None:
        """Start it again where it has died: after a while, and after what it has left behind was ended.

        Raises:
            ServerError: it has died again and again.
        """
        if self._cleaning is None:
            if not self.is_running:
                self._bury(say)
        elif not self._cleaning.is_alive() and time.monotonic() >= self._deaths[-1] + self._rest:
            self._cleaning = None
            self._start()
            say(f"the {self.name} runs again")

    def ask_to_end(self) -> None:
        """Send it SIGTERM; the processes that it has started hear of it from it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it, where it still runs, and all that it has started."""
        end_marked(self._mark, 0.0)
        self._process.wait()
        if self._cleaning:
            self._cleaning.join()

    def _start(self) -> None:
        self._mark = new_mark()
        with signals_held(), self.log.open("ab") as stream:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                preexec_fn=ended_with_parent(),
                env={**self._environment, MARK: self._mark},
            )

    @property
    def _rest(self) -> float:
        return min(2.0 ** (len(self._deaths) - 1), LONGEST_REST)

    def _bury(self, say: Callable[[str], None]) -> None:
        now = time.monotonic()
        self._deaths = [death for death in self._deaths if death > now - SECONDS_COUNTED] + [now]
        ended = f"the {self.name} {_how(self._process.returncode)}"
        if len(self._deaths) == MOST_DEATHS:
            raise ServerError(f"{ended}, for the {MOST_DEATHS}th time in {SECONDS_COUNTED:g} s; see {self.log}")
        say(f"{ended}; it is started again in {self._rest:g} s (its log: {self.log})")
        self._cleaning = threading.Thread(target=end_marked, args=(self._mark, FLOW_SECONDS), daemon=True)
        self._cleaning.start()


def stop(children: Sequence[ChildProcess], seconds: float) -> None:
    """Ask children to end, wait for so many seconds or until Ctrl-C is pressed again, and kill what is left."""
    for child in children:
        child.ask_to_end()
    with contextlib.suppress(KeyboardInterrupt):
        deadline = time.monotonic() + seconds
        while any(child.is_running for child in children) and time.monotonic() < deadline:
            time.sleep(0.1)
    for child in children:
        child.kill()


def _how(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
