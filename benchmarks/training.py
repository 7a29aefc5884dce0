"""Training speed against the reference implementations: `python -m benchmarks.training --dcgan PATH --cut PATH ...`.

For each it is given, the reference and we train in turn, several times, each in a process of its own, on the same
images with the same network, batch size and precision. Printed are the medians of images per second, the median of the
paired ratios, the peak memory of all processes, and the share of the machine's measured matrix-multiply peak.
References that are not given are skipped, and it says so.

    git clone https://github.com/pytorch/examples
    git clone https://github.com/taesungp/contrastive-unpaired-translation      # pip install dominate packaging
    git clone https://github.com/brownvc/R3GAN                                  # pip install "setuptools<81" click
"""

import argparse
import io
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
import torch
import yaml
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.support.references import Case, Command, cases
from flows.config.dataset_section import SourceConfig
from flows.datasets.builder import build_dataset
from flows.sources.open import open_source
from gan_models.config import TrainConfig
from gan_models.data.shards import read_shard, shard_paths
from gan_models.images.randomness import random_for
from gan_models.recipes import build_recipe
from gan_models.recipes.base import Batch

WARM_UP = 6  # steps that are not counted: allocation, algorithm choice, the loaders' first batches
ROOT = Path(__file__).parents[1]
# The switches of `speed`, off and on.
LEVERS: dict[str, dict[str, tuple[object, object]]] = {
    "cpu": {
        "channels_last": (False, True),
        "fused_optimizer": (False, True),
        "compile": (False, True),
        "data": ("mapped", "memory"),
    },
    "cuda": {
        "channels_last": (False, True),
        "fused_optimizer": (False, True),
        "compile": (False, True),
        "precision": ("float32", "bfloat16"),
        "tf32": (False, True),
        "data": ("memory", "device"),
    },
}


@dataclass(frozen=True)
class Run:
    """What one training process did: images per second after the warm-up, and peak memory of it and its children."""

    images_per_second: float
    peak_bytes: int


def main() -> None:
    """Run the comparisons, print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__.split("\n")[0])
    for option, what in (("dcgan", "pytorch/examples"), ("cut", "CUT, with CycleGAN"), ("r3gan", "R3GAN")):
        parser.add_argument(f"--{option}", type=Path, help=f"folder of the {what} repository")
    parser.add_argument("--pairs", type=int, default=3, help="how often each is run, in turn")
    parser.add_argument("--steps", type=int, default=30, help="of each run")
    parser.add_argument("--only", help="only comparisons whose name begins so, such as DCGAN")
    parser.add_argument("--levers", action="store_true", help="measure what each switch of `speed` contributes too")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--out", type=Path, help="Markdown file to write, such as docs/training-speed.md")
    options = parser.parse_args()
    peak = matmul_peak(options.device)
    machine = f"{_machine(options.device)}; float32 matrix multiply {peak / 1e9:,.0f} GFLOP/s"
    print(machine, flush=True)
    rows, levers = [], []
    for case in cases(options.device):
        if options.only and not case.name.startswith(options.only):
            continue
        bench = Bench(case, options.pairs, options.steps, options.device)
        path = getattr(options, case.option)
        if path is None:
            print(f"{case.name}: skipped, --{case.option} was not given")
        else:
            rows.append(bench.against_reference(path.resolve(), peak))
        if options.levers:
            levers += bench.levers()
    text = f"{machine}. {options.pairs} pairs of {options.steps} steps.\n"
    text += _markdown(("", "reference images/s", "ours", "ratio", "pairs", "share of peak", "memory, GiB"), rows)
    if levers:
        text += "\n" + _markdown(("lever", "off, images/s", "on, images/s", "ratio", "pairs"), levers)
    print(text)
    if options.out:
        options.out.write_text(f"# Training speed\n\nWritten by `python -m benchmarks.training`.\n\n{text}")


class Bench:
    """The runs of one case, on images made for it."""

    def __init__(self, case: Case, pairs: int, steps: int, device: str) -> None:
        self.case, self.pairs, self.steps, self.device = case, pairs, steps, device
        train = {"steps": steps, "log_every": 2, "sample_every": 10**6, "checkpoint_every": 10**6, "device": device}
        self.config = TrainConfig.model_validate({**case.train, **train})
        self.scratch = tempfile.TemporaryDirectory()
        self.shards, self.pictures = prepare_images(Path(self.scratch.name), self.config)

    def against_reference(self, path: Path, peak: float) -> tuple[str, ...]:
        """Return the cells of a row: the reference and we, in turn."""
        theirs, ours = [], []
        for _ in range(self.pairs):
            command = self.case.reference(path, self.pictures, self.steps, self.device)
            theirs.append(time_command(command, self.steps, self.config.batch_size))
            ours.append(time_ours(self.config, self.shards))
            print(f"{self.case.name}: {theirs[-1].images_per_second:.2f}, ours {ours[-1].images_per_second:.2f}")
        share = statistics.median(run.images_per_second for run in ours) * flops_per_image(self.config) / peak
        memory = [max(run.peak_bytes for run in runs) / 2**30 for runs in (theirs, ours)]
        return (self.case.name, *_paired(theirs, ours), f"{share:.0%}", f"{memory[0]:.2f}, ours {memory[1]:.2f}")

    def levers(self) -> list[tuple[str, ...]]:
        """Return a row for each switch, off and on in turn, the others as they are by default."""
        rows: list[tuple[str, ...]] = []
        for name, positions in LEVERS[self.device].items():
            runs: tuple[list[Run], list[Run]] = ([], [])
            for _ in range(self.pairs):
                for position, measured in zip(positions, runs, strict=True):
                    speed = self.config.speed.model_copy(update={name: position})
                    measured.append(time_ours(self.config.model_copy(update={"speed": speed}), self.shards))
            default = getattr(self.config.speed, name)
            off, on = positions
            rows.append((f"{self.case.name}: {name}, {off} and {on} (default {default})", *_paired(*runs)))
            print(" ".join(rows[-1]), flush=True)
        return rows


def _paired(a: list[Run], b: list[Run]) -> tuple[str, str, str, str]:
    """Return the medians of images per second, the median of the ratios b to a, and the ratios."""
    ratios = [y.images_per_second / x.images_per_second for x, y in zip(a, b, strict=True)]
    speeds = [statistics.median(run.images_per_second for run in runs) for runs in (a, b)]
    listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    return f"{speeds[0]:.1f}", f"{speeds[1]:.1f}", f"{statistics.median(ratios):.2f}", listed


def _markdown(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def prepare_images(scratch: Path, config: TrainConfig) -> tuple[Path, Path]:
    """Make the photographs tiles of the config's size: shards for us, PNG files for the reference."""
    shards, pictures = scratch / "shards", scratch / "pictures"
    size, (source, target) = config.image.size, config.recipe.domains
    specs = [{"path": "builtin:photos", "domain": source}]
    specs += [{"path": "examples/paintings/van_gogh", "domain": target, "split_by": "tile"}] if target else []
    opened = [open_source(SourceConfig.model_validate(spec), ROOT) for spec in specs]
    build_dataset(opened, shards, evaluation_share=0.1, tile=size, max_tiles_per_image=60, quarantine=scratch / "bad")
    folders = {None: "images", source: "trainA" if target else "images", target: "trainB"}
    for shard in shard_paths(shards):
        for row in read_shard(shard, ["id", "split", "domain", "image"]).to_pylist():
            if row["split"] == "train":
                folder = pictures / folders[row["domain"]]
                folder.mkdir(parents=True, exist_ok=True)
                picture = Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")  # R3GAN takes no gray ones
                picture.save(folder / f"{row['id'][:24]}.png")
    return shards, pictures


def time_ours(config: TrainConfig, shards: Path) -> Run:
    """Train with this package's own command, and read what it logged."""
    out = Path(tempfile.mkdtemp(dir=shards.parent))
    (out / "config.yaml").write_text(yaml.safe_dump({"train": config.model_dump(mode="json")}))
    arguments = [sys.executable, "-m", "gan_models.training", "--config", str(out / "config.yaml")]
    watched = Watched(Command([*arguments, "--data", str(shards), "--out", str(out / "run")], ROOT, ""))
    watched.wait()
    rows = [json.loads(line) for line in (out / "run" / "metrics.jsonl").read_text().splitlines()]
    counted = [row for row in rows if WARM_UP <= row["step"] < config.steps]  # the last step also saves
    seconds = counted[-1]["time"] - counted[0]["time"]
    return Run((counted[-1]["step"] - counted[0]["step"]) * config.batch_size / seconds, watched.peak_bytes)


def time_command(command: Command, steps: int, batch_size: int) -> Run:
    """Run a reference until it has printed its lines for `steps`, then end it."""
    watched = Watched(command)
    times: list[float] = []
    assert watched.process.stdout is not None, "it is a pipe"
    for line in watched.process.stdout:
        watched.last_lines.append(line)
        if re.search(command.step_line, line):
            times.append(time.monotonic())
        if len(times) >= steps:
            break
    watched.end()
    if len(times) < steps:
        raise SystemExit(
            f"{' '.join(command.arguments[:4])} did {len(times)} steps:\n" + "".join(watched.last_lines[-15:])
        )
    return Run((steps - WARM_UP) * batch_size / (times[-1] - times[WARM_UP - 1]), watched.peak_bytes)


class Watched:
    """A process in a group of its own, whose memory is looked at four times a second with that of its children."""

    def __init__(self, command: Command) -> None:
        self.process: subprocess.Popen[str] = subprocess.Popen(
            command.arguments,
            cwd=command.directory,
            env={**os.environ, **command.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.peak_bytes = 0
        self.last_lines: list[str] = []
        threading.Thread(target=self._watch, daemon=True).start()

    def wait(self) -> None:
        """Let it finish.

        Raises:
            SystemExit: it failed.
        """
        output: IO[str] | None = self.process.stdout
        text = output.read() if output else ""
        if self.process.wait():
            raise SystemExit(f"{' '.join(self.process.args)} failed:\n{text[-2000:]}")  # type: ignore[arg-type]

    def end(self) -> None:
        """Stop it with all its children."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _watch(self) -> None:
        try:
            process = psutil.Process(self.process.pid)
            while self.process.poll() is None:
                family = [process, *process.children(recursive=True)]
                used = sum(getattr(member.memory_full_info(), "pss", 0) for member in family)
                self.peak_bytes = max(self.peak_bytes, used)
                time.sleep(0.25)
        except psutil.Error:
            return  # it ended between two looks


def flops_per_image(config: TrainConfig) -> float:
    """Floating-point operations of one training step of ours, forward and backward, per image."""
    recipe = build_recipe(config, 0)
    shape = (config.batch_size, config.image.channels, config.image.size, config.image.size)
    images = torch.rand(shape) * 2 - 1
    targets = images.flip(0) if config.recipe.domains[1] else None
    with FlopCounterMode(display=False) as counter:
        recipe.training_step(Batch(images, None, targets, None), 1, random_for("flops"))
    return float(counter.get_total_flops()) / config.batch_size


def matmul_peak(device: str, size: int = 2048) -> float:
    """Return the most floating-point operations a second that a product of two float32 matrices reached here."""
    a, b = (torch.rand(size, size, device=device) for _ in range(2))
    times = []
    for _ in range(12):
        start = time.perf_counter()
        torch.mm(a, b)
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times)


def _machine(device: str) -> str:
    name = torch.cuda.get_device_name() if device == "cuda" else f"{os.cpu_count()} CPU cores"
    return f"{name}, PyTorch {torch.__version__}, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
