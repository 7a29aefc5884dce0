"""Live progress of a stage: a bar on a terminal, a line now and then in a log."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prefect import get_run_logger
from prefect.exceptions import MissingContextError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from flows.runtime.console_handler import PatientConsoleHandler
from gan_models.escaping import for_terminal

SECONDS_BETWEEN_LINES = 10.0

Update = Callable[[int, int | None, str], None]

# A log has no width of its own; 80 columns would break tables that a terminal shows whole.
console = Console(width=None if sys.stdout.isatty() else 140)


@contextmanager
def progress(title: str) -> Iterator[Update]:
    """Show how far a long operation is.

    Yields:
        A function of (done, total, text); total None where it is not known, text such as "412 images/s".
    """
    if sys.stdout.isatty():
        with Progress(
            TextColumn("[bold]{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=10),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            TextColumn("left", table_column=Column(no_wrap=True)),
            # On a narrow terminal the figures give way, not the steps and the time.
            TextColumn("{task.fields[text]}", "cyan", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            console=console,
            transient=True,
            expand=True,
        ) as bar:
            task = bar.add_task(title, total=None, text="")
            yield lambda done, total, text: bar.update(task, completed=done, total=total, text=text)
        return
    last = time.monotonic()

    def echo_now_and_then(done: int, total: int | None, text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            echo(f"{title}  {done}/{total or '?'}  {text}")

    yield echo_now_and_then


def with_rate(update: Update, what: str) -> Callable[[int, int | None], None]:
    """Return a function of (done, total) that shows how many are done a second, over the whole time."""
    started = time.monotonic()

    def show(done: int, total: int | None) -> None:
        rate = done / max(time.monotonic() - started, 1e-9)
        left = f", {(total - done) / rate:,.0f} s left" if total and done else ""
        update(done, total, f"{rate:,.0f} {what}/s{left}")

    return show


def print_plain(line: str) -> None:
    """Print a line as it is, whatever the labels and paths in it look like."""
    console.print(for_terminal(line), highlight=False, markup=False, soft_wrap=True)


def echo(line: str) -> None:
    """Tell a person one thing, once: in the flow run's own log, and on the console where that does not show the log."""
    try:
        log = get_run_logger()
    except MissingContextError:
        print_plain(line)
        return
    if not any(isinstance(handler, PatientConsoleHandler) for handler in logging.getLogger().handlers):
        print_plain(line)
    log.info(for_terminal(line))
