"""What an evaluation costs: `python -m benchmarks.evaluation`, next to torchmetrics and torch-fidelity.

The reference and we do the same work in turn, in one process, on as many threads as OMP_NUM_THREADS says; first both
numbers are compared. Printed are medians of seconds (those of the processor with --clock cpu, for one thread on a
machine that others use too), the median of the paired ratios, and the largest relative
difference of the numbers. Then the cost of an interval, and the peak memory of processes that keep features or sum
them up as they come.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.support.evaluation_cases import BATCH, Case, evaluation_cases, extraction_cases, feature_cases
from gan_models.evaluation.metrics.frechet_distance import Moments, RealFeatures, frechet_distance, frechet_value
from gan_models.evaluation.stats.intervals import interval

Clock = Callable[[], float]

CASES = ("distance", "distance-few", "extraction", "evaluation", "interval", "memory")
DIMENSION = 2_048  # of Inception's features
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
INTERVAL_NUM, INTERVAL_DIMENSION = 2_000, 1_280


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description=__doc__.split("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--pairs", type=int, default=3, help="how often each side is measured, in turn")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--distance-images", type=int, default=10_000, help="N of the Fréchet distance")
    parser.add_argument("--extraction-images", type=int, default=128)
    parser.add_argument("--evaluation-images", type=int, default=5_000)
    parser.add_argument("--memory-images", type=int, nargs="+", default=[2_048, 8_192, 32_768])
    parser.add_argument("--out", type=Path, help="Markdown file to write, such as docs/evaluation-speed.md")
    options = parser.parse_args()
    clock = CLOCKS[options.clock]
    threads = torch.get_num_threads()
    sections = [f"Threads: {threads}; pairs: {options.pairs}; clock: {options.clock}; batches: {BATCH}.\n\n"]
    with tempfile.TemporaryDirectory() as scratch:
        made: dict[str, Callable[[], list[Case]]] = {
            "distance": lambda: feature_cases(options.distance_images, DIMENSION),
            "distance-few": lambda: feature_cases(500, DIMENSION),
            "extraction": lambda: extraction_cases(options.extraction_images),
            "evaluation": lambda: evaluation_cases(options.evaluation_images, Path(scratch)),
        }
        rows = [
            row for name, cases in made.items() if name in options.cases for row in compared(cases(), options.pairs)
        ]
        if rows:
            sections.append(table(("", "reference", "its seconds", "ours", "ratio", "pairs", "difference"), rows))
        if "interval" in options.cases:
            sections.append(f"\n{cost_of_an_interval(options.pairs, clock)}\n")
    if "memory" in options.cases:
        measured = (memory_row(num) for num in options.memory_images)
        sections.append("\n" + table(("features", "kept, GiB", "summed, GiB"), measured))
    skipped = [name for name in CASES if name not in options.cases]
    if skipped:
        sections.append(f"\nNot measured this time: {', '.join(skipped)}.\n")
    print("".join(sections))
    if options.out:
        title = "# Speed of evaluation\n\nWritten by `python -m benchmarks.evaluation`.\n\n"
        options.out.write_text(title + "".join(sections))


def compared(cases: list[Case], pairs: int, clock: Clock = time.perf_counter) -> Iterator[tuple[str, ...]]:
    """Yield the cells of a row each.

    Raises:
        ValueError: the numbers do not agree; a speed would then mean nothing.
    """
    for case in cases:
        reference, own = case.theirs(), case.ours()
        difference = float(np.abs(own - reference).max() / np.abs(reference).max())
        if difference > case.tolerance:
            raise ValueError(f"{case.name}: {own} is not the {reference} of {case.reference}")
        theirs, ours = [], []
        for _ in range(pairs):
            theirs.append(seconds(case.theirs, clock))
            ours.append(seconds(case.ours, clock))
        ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
        medians = (f"{statistics.median(times):.2f}" for times in (theirs, ours))
        listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        row = (case.name, case.reference, *medians, f"{statistics.median(ratios):.2f}", listed, f"{difference:.1e}")
        print(" | ".join(row), flush=True)
        yield row


def cost_of_an_interval(pairs: int, clock: Clock) -> str:
    """Return a sentence about the Fréchet distance with its interval, and without."""
    random = np.random.default_rng(0)
    scales = 10 ** -np.linspace(0, 1.5, INTERVAL_DIMENSION)
    side = RealFeatures(random.normal(size=(5_000, INTERVAL_DIMENSION)) * scales)
    drawn = random.normal(0.1, 1, (INTERVAL_NUM, INTERVAL_DIMENSION)) * scales
    without, with_one = [], []
    for _ in range(pairs + 1):
        without.append(seconds(lambda: frechet_value(drawn, side), clock))
        with_one.append(seconds(lambda: interval(frechet_distance(drawn, side), 0), clock))
    own, whole = (statistics.median(times[1:]) for times in (without, with_one))
    return (
        f"The Fréchet distance of {INTERVAL_NUM:,} x {INTERVAL_DIMENSION:,} features takes {own:.2f} s, and with its "
        f"interval {whole:.2f} s."
    )


def memory_row(num: int) -> tuple[str, ...]:
    """Return the cells of a row: peak memory of a process that keeps `num` features, and of one that sums them."""
    peaks = []
    for how in ("kept", "summed"):
        code = f"from benchmarks.evaluation import stream; stream({how!r}, {num}, {DIMENSION})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peaks.append(f"{int(done.stdout) / 2**30:.2f}")
    return (f"{num:,} x {DIMENSION:,}", *peaks)


def stream(how: str, num: int, dimension: int) -> None:
    """Run a process of `memory_row`: measure features that come in batches, and print its peak memory in bytes."""
    random = np.random.default_rng(0)
    batches = (random.normal(size=(BATCH, dimension)) for _ in range(num // BATCH))
    real = RealFeatures.from_parts(10_000, np.zeros(dimension), np.asfortranarray(np.eye(dimension)))
    if how == "kept":
        frechet_value(np.concatenate(list(batches)), real)
    else:
        moments = Moments(dimension)
        for batch in batches:
            moments.add(batch)
        frechet_value(moments, real)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def seconds(work: Callable[[], object], clock: Clock) -> float:
    """Of one call."""
    began = clock()
    work()
    return clock() - began


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
