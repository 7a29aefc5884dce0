"""Are the intervals right? `python -m benchmarks.calibration`.

Pairs of models that are drawn from one distribution should tie about 95 times in 100: fewer would promote chance, more
would hide progress. Then one of the two is made worse by a known amount: how often is it called worse? Everything is
counted with the evaluation's own estimates, intervals and verdicts, on features of real images (crops of the built-in
photographs and digits in EfficientNet-Lite0) and on Gaussian ones. Features are computed once and kept in --folder,
and so are rows, so that the document can be measured in parts.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.support.crops import Pixels, blurred, crops, features_of, noisy
from gan_models.evaluation.metrics.frechet_distance import RealFeatures, frechet_distance
from gan_models.evaluation.metrics.kernel_distance import RealKernel, kernel_distance
from gan_models.evaluation.metrics.psnr import psnr
from gan_models.evaluation.stats.intervals import Array, Estimate, difference_interval, mean_of

Random = np.random.Generator
Draw = Callable[[Random, int], tuple[Estimate, Estimate]]

NUM_REAL = 2_000
NUM_POOL = 6_000  # of crops that pairs are drawn from without repetition
NUM_WORSE = 600  # of crops at each strength of a degradation
NOISE = 25.0  # of the images whose PSNR is compared, on the 0-255 scale
STRENGTHS: dict[str, tuple[float, ...]] = {"noise": (2, 4, 8), "blur": (0.3, 0.5)}
MORE_NOISE = (0.0025, 0.005, 0.01, 0.02)  # as a share of NOISE
KINDS = ("gaussian", "projected", "crops", "psnr")
FEATURE_METRICS = ("Fréchet distance", "kernel distance")


@dataclass(frozen=True)
class Row:
    """Counts of verdicts about b, which is `strength` worse than a. z: the difference by its own standard error."""

    metric: str
    images: str
    num: int
    strength: str
    pairs: int
    ties: int
    worse: int
    better: int
    deviation_of_z: float


@dataclass(frozen=True)
class Question:
    """What a row counts: pairs of estimates of models a and b over `num` images each."""

    metric: str
    images: str
    num: int
    strength: str
    higher_is_better: bool
    draw: Draw

    def answer(self, pairs: int) -> Row:
        """Draw the pairs and count."""
        random = np.random.default_rng(self.num)  # rows of different sizes are independent
        counts = {"ties": 0, "worse": 0, "better": 0}
        z = []
        for _ in range(pairs):
            a, b = self.draw(random, self.num)
            low, high = difference_interval(b, a, 0)
            gained = (b.value > a.value) == self.higher_is_better
            counts["ties" if low <= 0 <= high else "better" if gained else "worse"] += 1
            z.append((b.value - a.value) / np.sqrt(np.square(b.influence - a.influence).mean() / self.num))
        facts = (self.metric, self.images, self.num, self.strength, pairs)
        verdicts = (counts["ties"], counts["worse"], counts["better"])
        return Row(*facts, *verdicts, deviation_of_z=round(float(np.std(z)), 3))


def gaussian_questions(dimension: int, sizes: list[int], more_spread: tuple[float, ...]) -> Iterator[Question]:
    """Features of a covariance that falls off tenfold; b has a deviation that is larger by a share."""
    scales = 10 ** -np.linspace(0, 1, dimension)
    real = np.random.default_rng(1).normal(size=(NUM_REAL, dimension)) * scales
    for metric, measure in measures(real).items():
        for num in sizes:
            for share in (0.0, *more_spread):

                def draw(
                    random: Random,
                    num: int,
                    share: float = share,
                    measure: Callable[[Array], Estimate] = measure,
                ) -> tuple[Estimate, Estimate]:
                    a, b = random.normal(size=(2, num, dimension)) * scales
                    return measure(a), measure(b * (1 + share))

                strength = f"spread +{share:.1%}" if share else ""
                yield Question(metric, f"Gaussian, d = {dimension}", num, strength, False, draw)


def crop_questions(folder: Path, sizes: list[int], power_size: int) -> Iterator[Question]:
    """Features of real images; b is made of degraded ones."""
    real = kept(folder, "real", lambda: crops(NUM_REAL, 64, 1))
    pool = kept(folder, "pool", lambda: crops(NUM_POOL, 64, 2))
    for metric, measure in measures(real).items():
        for num in sizes:
            yield Question(metric, "crops, d = 1280", num, "", False, pair_of_pools(measure, pool, pool))
        for kind, strengths in STRENGTHS.items():
            for strength in strengths:

                def worsened(kind: str = kind, strength: float = strength) -> Pixels:
                    images = crops(NUM_WORSE, 64, 3)
                    return noisy(images, strength, 4) if kind == "noise" else blurred(images, strength)

                worse = kept(folder, f"{kind}-{strength:g}", worsened)
                draw = pair_of_pools(measure, worse, pool)
                yield Question(metric, "crops, d = 1280", power_size, f"{kind} {strength:g}", False, draw)


def projected_questions(folder: Path, sizes: list[int]) -> Iterator[Question]:
    """Features of real images in their 64 principal components: with more images than dimensions."""
    real = kept(folder, "real", lambda: crops(NUM_REAL, 64, 1))
    pool = kept(folder, "pool", lambda: crops(NUM_POOL, 64, 2))
    _, _, components = np.linalg.svd(real - real.mean(axis=0), full_matrices=False)
    real, pool = (features @ components[:64].T for features in (real, pool))
    for metric, measure in measures(real).items():
        for num in sizes:
            yield Question(metric, "crops, d = 64", num, "", False, pair_of_pools(measure, pool, pool))


def psnr_questions(sizes: list[int], power_size: int) -> Iterator[Question]:
    """Crops with noise, b with more of it; both models have the same images."""
    images = crops(2_000, 32, 4)
    for num, share in [(num, 0.0) for num in sizes] + [(power_size, share) for share in MORE_NOISE]:

        def draw(random: Random, num: int, share: float = share) -> tuple[Estimate, Estimate]:
            originals = images[random.permutation(len(images))[:num]]
            seeds = random.integers(2**31, size=2)
            a, b = (
                noisy(originals, sigma, int(seed))
                for sigma, seed in zip((NOISE, NOISE * (1 + share)), seeds, strict=True)
            )
            return mean_of(psnr(a, originals)), mean_of(psnr(b, originals))

        strength = f"noise +{share:.2%}" if share else ""
        yield Question("PSNR, paired", "crops with noise", num, strength, True, draw)


def measures(real: Array) -> dict[str, Callable[[Array], Estimate]]:
    """Return the metrics of features, against the same real side every time."""
    frechet, kernel = RealFeatures(real), RealKernel(real)
    both = (lambda features: frechet_distance(features, frechet), lambda features: kernel_distance(features, kernel))
    return dict(zip(FEATURE_METRICS, both, strict=True))


def pair_of_pools(measure: Callable[[Array], Estimate], b_pool: Array, a_pool: Array) -> Draw:
    """Draws a and b without repetition, and from one pool without an image in both."""

    def draw(random: Random, num: int) -> tuple[Estimate, Estimate]:
        order = random.permutation(len(a_pool))
        a, b = order[:num], order[num : 2 * num] if a_pool is b_pool else random.permutation(len(b_pool))[:num]
        return measure(a_pool[a]), measure(b_pool[b])

    return draw


def kept(folder: Path, name: str, images: Callable[[], Pixels]) -> Array:
    """Return the features of images, from `folder` where they are there."""
    path = folder / f"{name}.npy"
    if not path.exists():
        np.save(path, features_of(images()).astype(np.float32))
    features: Array = np.load(path).astype(np.float64)
    return features


def main() -> None:
    """Count, print, and write where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="for features and rows that are kept")
    parser.add_argument("--images", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--metric", choices=FEATURE_METRICS, help="only this one of the feature metrics")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--power-pairs", type=int, default=50)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 1_000], help="of Gaussian features and PSNR")
    parser.add_argument("--crop-sizes", type=int, nargs="+", default=[100, 200, 400])
    parser.add_argument("--out", type=Path, help="Markdown file to write, such as docs/calibration.md")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    middle, crop_middle = options.sizes[len(options.sizes) // 2], options.crop_sizes[len(options.crop_sizes) // 2]
    made: dict[str, Callable[[], Iterator[Question]]] = {
        "gaussian": lambda: gaussian_questions(64, options.sizes, ()),
        "projected": lambda: projected_questions(options.folder, options.sizes),
        "crops": lambda: crop_questions(options.folder, options.crop_sizes, crop_middle),
        "psnr": lambda: psnr_questions(options.sizes, middle),
    }
    path = options.folder / "rows.jsonl"
    rows = [Row(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
    for kind in options.images:
        for question in made[kind]():
            if options.metric and question.metric in FEATURE_METRICS and question.metric != options.metric:
                continue
            pairs = options.power_pairs if question.strength else options.pairs
            facts = (question.metric, question.images, question.num, question.strength, pairs)
            if any((row.metric, row.images, row.num, row.strength, row.pairs) == facts for row in rows):
                continue
            rows.append(question.answer(pairs))
            print(rows[-1], flush=True)
            with path.open("a") as file:
                file.write(json.dumps(asdict(rows[-1])) + "\n")
    text = document(rows)
    print(text)
    if options.out:
        options.out.write_text(text)


def document(rows: list[Row]) -> str:
    """Return the two tables: pairs of one distribution, and those of which one is worse."""
    rows = sorted(rows, key=lambda row: (row.metric, row.images, row.num))
    equal = [
        (row.metric, row.images, f"{row.num:,}", f"{row.ties} of {row.pairs}", f"{row.deviation_of_z:.2f}")
        for row in rows
        if not row.strength
    ]
    power = [
        (row.metric, f"{row.num:,}", row.strength, *(f"{n} of {row.pairs}" for n in (row.worse, row.ties, row.better)))
        for row in rows
        if row.strength
    ]
    return (
        "# Calibration of the intervals\n\nWritten by `python -m benchmarks.calibration`.\n\n"
        "Two models are drawn from one distribution. With 95% intervals, 95 in 100 should be ties, and the difference\n"
        "divided by its standard error should have a deviation of 1.\n\n"
        + _table(("", "images", "N", "ties", "deviation"), equal)
        + "\nThe second model is worse by a known amount: how often it is called so.\n\n"
        + _table(("", "N", "degradation", "worse", "tie", "better"), power)
    )


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
