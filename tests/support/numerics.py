"""Run the tests of gan_models with the arithmetic of other processors: `make test-numerics`.

    python -m tests.support.numerics [what else pytest is given, such as `-k style_bank` or `-m learning`]

Kernels for other instructions, and another number of threads, sum in another order and so round differently. A test
that passes on one machine by its rounding alone fails here. Tests of learning also get three other seeds: they cost
too little to assert what holds for one.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

FOLDERS = sorted(str(folder) for folder in Path("tests").glob("*/gan_models"))
# PyTorch's own kernels, those of oneDNN, and the matrix products of NumPy and SciPy. Nothing: the machine's best.
INSTRUCTIONS = {
    "SSE 4": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "OPENBLAS_CORETYPE": "Nehalem"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell"},
    "best": {},
}
THREADS = (1, 2)
OTHER_SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Combination:
    """What one run of pytest rounds with; with another seed than 0 it runs the tests of learning alone."""

    instructions: str
    threads: int
    seed: int = 0

    def arguments(self) -> list[str]:
        """Return what pytest is started with: a process per core, or per two where each takes two threads."""
        num_processes = max(1, (os.cpu_count() or 1) // self.threads)
        of_learning = ["-m", "learning"] if self.seed else []
        return [*FOLDERS, "-n", str(num_processes), "--seed", str(self.seed), *of_learning]

    def environment(self) -> dict[str, str]:
        """Return the environment that pytest and the processes of the tests are started in."""
        inherited = {key: value for key, value in os.environ.items() if key not in INSTRUCTIONS["SSE 4"]}
        # What torch.compile keeps does not say for which instructions it is.
        compiled = Path(tempfile.gettempdir()) / f"torchinductor-{self.instructions}".replace(" ", "")
        own = {"OMP_NUM_THREADS": str(self.threads), "TORCHINDUCTOR_CACHE_DIR": str(compiled)}
        return {**inherited, **INSTRUCTIONS[self.instructions], **own}


@dataclass(frozen=True)
class Outcome:
    """What came of a run of pytest: the number of tests that passed, the names of the others, and its minutes."""

    num_passed: int
    failed: tuple[str, ...]
    minutes: float


def run(combination: Combination) -> Outcome:
    """Run pytest; its own output goes to the terminal."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", *combination.arguments(), *sys.argv[1:], f"--junitxml={report}"]
        code = subprocess.run(command, env=combination.environment(), check=False).returncode
        num_passed, failed = read_report(report)
    if code and not failed:
        failed = (f"pytest ended with exit code {code}",)
    return Outcome(num_passed, failed, (time.monotonic() - start) / 60)


def read_report(report: Path) -> tuple[int, tuple[str, ...]]:
    """Return how many tests passed by a JUnit report, and the names of those that failed or could not be run."""
    if not report.exists():
        return 0, ()
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    names = sorted({f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}" for case in failed})
    return len(cases) - len(failed), tuple(names)


def table_of(outcomes: dict[Combination, Outcome]) -> Table:
    """Return a row per combination."""
    table = Table("instructions", "threads", "seed", "passed", "failed", "minutes", "failures")
    for combination, outcome in outcomes.items():
        counts = (combination.threads, combination.seed, outcome.num_passed, len(outcome.failed))
        row = (combination.instructions, *map(str, counts), f"{outcome.minutes:.1f}", "\n".join(outcome.failed))
        table.add_row(*row)
    return table


def main() -> int:
    """Run every combination, print the table of them, and return 1 where a test failed."""
    combinations = [Combination(name, threads) for name in INSTRUCTIONS for threads in THREADS]
    combinations += [Combination(name, 1, seed) for name in INSTRUCTIONS for seed in OTHER_SEEDS]
    outcomes = {}
    for combination in combinations:
        print(f"== {combination}", flush=True)
        outcomes[combination] = run(combination)
    Console(width=None if sys.stdout.isatty() else 200).print(table_of(outcomes))
    return int(any(outcome.failed for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
