"""What it costs to load images: `python -m benchmarks.data_loading`.

The same small DCGAN trains on sets of 1,000 to 100,000 images of noise, in memory and in a memory-mapped file. The
modes take turns in one process, some steps each; printed are medians over the rounds, and medians of the paired
ratios. `mapped, cold` has its file dropped from the page cache before each turn, as if it were read for the first time.
"""

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gan_models.config import TrainConfig
from gan_models.data.image_set import ImageSet, TrainingData
from gan_models.data.pixel_cache import open_mapped
from gan_models.files import write_durably
from gan_models.images.randomness import generator_for, random_for
from gan_models.recipes import Recipe, build_recipe
from gan_models.training.batches import Batches
from gan_models.training.placement import Place

CPU = torch.device("cpu")


@dataclass
class Turn:
    """Milliseconds of a step, and of the part of it that waits for its batch; medians over the steps of one turn."""

    step: float
    batch: float


class Mode:
    """Batches of one set from one place, and the turns that were measured.

    Args:
        name: to print.
        images: in memory, uint8 [N, C, H, W]; or else
        file: of the same pixels, to be mapped.
        config: of the training run.
        is_cold: whether the file is read from the disk again in each turn.
    """

    def __init__(self, name: str, images: Tensor, config: TrainConfig, file: Path | None, *, is_cold: bool) -> None:
        self.name, self.config, self.file, self.is_cold = name, config, file, is_cold
        self.shape = tuple(images.shape)
        self.batches = self._batches(images, "memory") if file is None else self._mapped(file)
        self.next_step = 1
        self.turns: list[Turn] = []

    def _mapped(self, file: Path) -> Batches:
        return self._batches(open_mapped(file, self.shape), "mapped")

    def _batches(self, images: Tensor, place: Place) -> Batches:
        return Batches(TrainingData(ImageSet(images, None, (), "noise")), self.config, CPU, place=place)

    def take_turn(self, recipe: Recipe, num_steps: int) -> None:
        """Train `num_steps` steps and keep their times."""
        if self.is_cold and self.file:
            del self.batches  # pages that are mapped would not be dropped
            drop_from_page_cache(self.file)
            self.batches = self._mapped(self.file)
        steps, batches = [], []
        for step in range(self.next_step, self.next_step + num_steps):
            began = time.perf_counter()
            batch = self.batches.at(step)
            loaded = time.perf_counter()
            recipe.training_step(batch, step, random_for("step", step))
            steps.append(1000 * (time.perf_counter() - began))
            batches.append(1000 * (loaded - began))
        self.next_step += num_steps
        self.turns.append(Turn(statistics.median(steps), statistics.median(batches)))

    def median(self) -> Turn:
        """Over the turns."""
        steps, batches = zip(*((turn.step, turn.batch) for turn in self.turns), strict=True)
        return Turn(statistics.median(steps), statistics.median(batches))

    def ratio_to(self, other: "Mode") -> float:
        """Speed in steps per second as a share of the other's, the median of the pairs."""
        return statistics.median(b.step / a.step for a, b in zip(self.turns, other.turns, strict=True))


def drop_from_page_cache(path: Path) -> None:
    """Let the next read of a file come from the disk."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def config_for(size: int, steps: int) -> TrainConfig:
    """Return a DCGAN small enough that the loading of images would show."""
    content = {
        "image": {"size": size, "channels": 3},
        "recipe": {"name": "dcgan", "width": 8, "latent_dim": 32, "r1_gamma": 0},
        "steps": steps,
        "batch_size": 64,
        "flips": True,
        "device": "cpu",
    }
    return TrainConfig.model_validate(content)


def modes_for(num: int, config: TrainConfig, folder: Path) -> list[Mode]:
    """Return the three modes of a set of `num` images of noise."""
    size = config.image.size
    images = torch.randint(256, (num, 3, size, size), dtype=torch.uint8, generator=generator_for("noise", num))
    paths = [folder / f"{num}-{name}.pixels" for name in ("warm", "cold")]
    for path in paths:
        write_durably(path, images.numpy().data)
    return [
        Mode(f"{num:,} in memory", images, config, None, is_cold=False),
        Mode(f"{num:,} mapped", images, config, paths[0], is_cold=False),
        Mode(f"{num:,} mapped, cold", images, config, paths[1], is_cold=True),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data_loading", description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="images in the sets")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20, help="per turn")
    parser.add_argument("--folder", type=Path, help="for the mapped files, on the disk to be measured")
    parser.add_argument("--out", type=Path, help="Markdown file to write, such as docs/data-loading.md")
    options = parser.parse_args()
    config = config_for(options.image_size, steps=1_000_000)
    recipe = build_recipe(config, 0)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        sets = [modes_for(num, config, Path(folder)) for num in options.sizes]
        modes = [mode for one in sets for mode in one]
        for _ in range(options.rounds + 1):
            for mode in modes:
                mode.take_turn(recipe, options.steps)
        for mode in modes:
            del mode.turns[0]  # the warm-up
    lines = [
        f"DCGAN at {options.image_size}x{options.image_size}, batch 64, {torch.get_num_threads()} threads; "
        f"medians of {options.rounds} turns of {options.steps} steps",
        "",
        "| images | step, ms | of it waiting for the batch, ms | speed, of in memory | speed, of the smallest set |",
        "| --- | --- | --- | --- | --- |",
    ]
    for in_memory, *others in sets:
        for mode in (in_memory, *others):
            smallest = sets[0][(in_memory, *others).index(mode)]
            shares = f"{mode.ratio_to(in_memory):.1%} | {mode.ratio_to(smallest):.1%}"
            lines.append(f"| {mode.name} | {mode.median().step:.2f} | {mode.median().batch:.2f} | {shares} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.write_text(f"# Data loading\n\nWritten by `python -m benchmarks.data_loading`.\n\n{text}")


if __name__ == "__main__":
    main()
