"""Steps that are timed, and the page that tells of them."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

Step = Callable[[], str]


@dataclass(frozen=True)
class Outcome:
    """What came of a step: what it was, whether all that it checks held, what it saw, and its seconds."""

    name: str
    passed: bool
    seen: str
    seconds: float


def attempt(name: str, step: Step) -> Outcome:
    """Run a step, and tell of it at once."""
    print(f"{datetime.now(UTC):%H:%M:%S}  {name} ...", flush=True)
    begun = time.monotonic()
    try:
        passed, seen = True, step()
    except Exception as error:
        traceback.print_exc()
        passed, seen = False, str(error).strip().splitlines()[0][:300] if str(error).strip() else repr(error)
    outcome = Outcome(name, passed, seen, time.monotonic() - begun)
    print(f"          {'passed' if passed else 'FAILED'} in {outcome.seconds:.0f} s: {seen}", flush=True)
    return outcome


def write(
    page: Path, outcomes: list[Outcome], versions: dict[str, str], machine: str, not_run: Sequence[str] = ()
) -> None:
    """Write the page; it also names what was not run, where somebody stopped the test."""
    rows = [
        f"| {it.name} | {'passed' if it.passed else '**failed**'} | {it.seconds:.0f} s | {_cell(it.seen)} |"
        for it in outcomes
    ]
    rows += [f"| {name} | not run | | |" for name in not_run]
    failed = sum(not outcome.passed for outcome in outcomes)
    page.write_text(
        "\n".join(
            [
                "# The stack, tested",
                "",
                "Written by `make stack-test` (tests/stack). Each step ran on the containers of deploy/compose.yaml,",
                "in this order, on one stack from an empty start; operations.md says what to do in each case.",
                "",
                f"{datetime.now(UTC):%Y-%m-%d}, {machine}: {len(outcomes) - failed} of {len(rows)} steps passed.",
                "",
                *(f"- {name}: {version}" for name, version in versions.items()),
                "",
                "| step | result | time | what was seen |",
                "| --- | --- | --- | --- |",
                *rows,
                "",
            ]
        )
    )


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")
