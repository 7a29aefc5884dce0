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


def write(page: Path, names: Sequence[str], outcomes: list[Outcome], versions: dict[str, str], machine: str) -> None:
    """Write the page. Steps that were not run keep the row of the last time they were, which says with what image.

    Args:
        names: of all steps, in their order.
    """
    rows = _rows(page.read_text()) if page.exists() else {}
    with_image = f"{versions.get('Image', 'unknown')[:7]}, {datetime.now(UTC):%Y-%m-%d}"
    for it in outcomes:
        result = "passed" if it.passed else "**failed**"
        rows[it.name] = f"| {it.name} | {result} | {it.seconds:.0f} s | {with_image} | {_cell(it.seen)} |"
    shown = [rows.get(name, f"| {name} | not run | | | |") for name in names]
    passed = sum(" | passed | " in row for row in shown)
    page.write_text(
        "\n".join(
            [
                "# The stack, tested",
                "",
                "Written by `make stack-test` (tests/stack). Each step ran on the containers of deploy/compose.yaml,",
                "with the image that its row names, in this order; operations.md says what to do in each case. The",
                "whole begins with an empty stack; `python -m tests.stack WORDS` runs steps with WORDS in their names.",
                "",
                f"{machine}: {passed} of {len(shown)} steps passed.",
                "",
                *(f"- {name}: {version}" for name, version in versions.items() if name != "Image"),
                "",
                "| step | result | time | image | what was seen |",
                "| --- | --- | --- | --- | --- |",
                *shown,
                "",
            ]
        )
    )


def _rows(text: str) -> dict[str, str]:
    """Return the rows of a page, by the names of their steps."""
    return {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines() if line.startswith("| ")}


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")
