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
from gan_models.escaping import for_terminal
from gan_models.text import one_line

FIRST_REST = 1.0  # seconds after a death until it is started again; after each further one twice as long
LONGEST_REST = 60.0
SECONDS_WELL = 300.0  # that it has lived, and its next death is a first one
TAIL_BYTES = 4_000  # of its log, in which its last words are looked for


class ServerError(AtelierError):
    """A server that could not be started; the message says where to look or what to choose."""


class ChildProcess:
    """A process in a session of its own: Ctrl-C is for this one, which stops the others in order.

    Should this process be killed, that one is sent SIGTERM (on Linux).
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.name, self.log = name, log
        self._command, self._folder, self._environment = command, folder, environment
        self._num_deaths = 0  # one after the other
        self._begun = self._died = 0.0
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
        """Start it again where it has died, however often: after a rest, once what it has left behind was ended."""
        if self._cleaning is None:
            if not self.is_running:
                self._bury(say)
        elif not self._cleaning.is_alive() and time.monotonic() >= self._died + self._rest:
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
        self._mark, self._begun = new_mark(), time.monotonic()
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
        return min(FIRST_REST * 2.0 ** min(self._num_deaths - 1, 10), LONGEST_REST)

    def _bury(self, say: Callable[[str], None]) -> None:
        self._died = time.monotonic()
        self._num_deaths = 1 if self._died - self._begun > SECONDS_WELL else self._num_deaths + 1
        again = f", {self._num_deaths} times in a row" if self._num_deaths > 1 else ""
        remedy = f"mend what {self.log} tells, or stop all with Ctrl-C" if again else f"its log is {self.log}"
        say(f"the {self.name} {self._how_it_ended()}{again}; it is started again in {self._rest:g} s ({remedy})")
        self._cleaning = threading.Thread(target=end_marked, args=(self._mark, FLOW_SECONDS), daemon=True)
        self._cleaning.start()

    def _how_it_ended(self) -> str:
        code = self._process.returncode
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
            lines = log.read().decode(errors="replace").split("\n")
        words = next((line for line in reversed(lines) if line.strip()), "it told nothing")
        return f"ended with code {code} ('{for_terminal(one_line(words, 200))}')"


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
