"""`python -m tests.stack [WORDS ...]`: the whole scenario, or the start and the steps whose names have some of them."""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import psutil

from tests.stack.report import Outcome, attempt, write
from tests.stack.scenario import Scenario
from tests.stack.stack import ROOT, Stack, versions

PAGE = ROOT / "docs" / "stack-test.md"


def main() -> int:
    """Run the steps, write the page, and remove every container."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # with the page of what was run by then
    words = sys.argv[1:] or [""]
    folder = Path(tempfile.mkdtemp(prefix="stack-test-"))
    stack = Stack("atelier-stack-test", folder)
    scenario, outcomes = Scenario(stack), list[Outcome]()
    about: dict[str, str] = {}
    try:
        for name, step in scenario.steps().items():
            if not outcomes or any(each in name for each in words):
                outcomes.append(attempt(name, step))
                if len(outcomes) == 1:
                    if not outcomes[0].passed:
                        return 1
                    about = versions(stack)
    finally:
        if outcomes and not all(outcome.passed for outcome in outcomes):
            (Path(tempfile.gettempdir()) / "stack-test.log").write_text(stack.compose("logs", "--no-color"))
        stack.remove()
        shutil.rmtree(folder)
        memory = psutil.virtual_memory().total / 2**30
        machine = f"{os.cpu_count()} processors, {memory:.0f} GiB of memory, no GPU"
        write(PAGE, list(scenario.steps()), outcomes, about, machine)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
