"""What was measured of datasets, in words and numbers, and what it says of ten million images."""

import statistics
from dataclasses import dataclass
from typing import Literal

MANY = 10_000_000


@dataclass(frozen=True)
class Versioning:
    """One version, made and sent. seconds: in all; first, second: decoding to shards and sending, or `add` and `push`;
    cpu_seconds: of the process and all it started; peak_bytes: of their memory together.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    first: float
    second: float


@dataclass(frozen=True)
class Reading:
    """Seconds to read all images into memory, from shards and from loose files."""

    ours: float
    plain: float


@dataclass(frozen=True)
class Costs:
    """Seconds for `num_images` of `num_bytes` in shards. examining: by all processors of this machine, can be spread;
    gathering: of what was found, with writing shards, and hashing: of these; one process does both alone.
    """

    num_images: int
    num_bytes: int
    examining: float
    gathering: float
    hashing: float


@dataclass(frozen=True)
class Report:
    """Everything measured in one run.

    num_plain: images that DVC versioned as files; small_plain: the number of a quarter of these, and their version
    small, large: the number of a quarter of the images, and of many more, and their versions
    far, far_plain: both ways once more, where each request takes `round_trip` seconds longer
    stored_bytes, grown_bytes, removed_bytes: in the bucket, and what 1% more images and one image fewer added to it
    """

    num_images: int
    num_plain: int
    small_plain: tuple[int, Versioning]
    small: tuple[int, Versioning]
    large: tuple[int, Versioning]
    ours: list[Versioning]
    plain: list[Versioning]
    round_trip: float
    far: Versioning
    far_plain: Versioning
    readings: list[Reading]
    costs: Costs
    stored_bytes: int
    grown_bytes: int
    growing: Versioning
    removed_bytes: int
    removed_shard_bytes: int

    def text(self) -> str:
        """As Markdown."""
        pairs = list(zip(self.ours, self.plain, strict=True))
        ratio = statistics.median(self._plain_for(self.num_images, b, "seconds") / a.seconds for a, b in pairs)
        cpu = statistics.median(self._plain_for(self.num_images, b, "cpu_seconds") / a.cpu_seconds for a, b in pairs)
        at = "" if self.num_plain == self.num_images else f", at {self.num_images:,} files"
        read = statistics.median(reading.plain / reading.ours for reading in self.readings)
        far = self._plain_for(self.num_images, self.far_plain, "seconds") / self.far.seconds
        ours, plain = _median(self.ours), _median(self.plain)
        shards, files = (
            statistics.median(times) for times in zip(*((r.ours, r.plain) for r in self.readings), strict=True)
        )
        share = f"{self.grown_bytes / self.stored_bytes:.2%}"
        return f"""# What versions of a dataset cost

Written by `python -m benchmarks.dataset`: {self.num_images:,} PNGs of 32x32 pixels, crops of photographs, and a real S3
server on the same machine. The two ways take turns, {len(self.ours)} time(s) each; figures are medians, and ratios are
medians of the paired ratios.

| {self.num_images:,} images to S3 | seconds | of these | CPU seconds | memory, at most |
| --- | --- | --- | --- | --- |
| Atelier: decode, validate, shard, hash, push | {_row(ours, "to shards", "to S3")} |
| `dvc add` and `dvc push` of {self.num_plain:,} files | {_row(plain, "add", "push")} |
| Atelier is faster by{at} | **{ratio:.1f}x** | | {cpu:.1f}x | |
| **the storage {1000 * self.round_trip:.0f} ms away**: Atelier | {_row(self.far, "to shards", "to S3")} |
| DVC | {_row(self.far_plain, "add", "push")} |
| Atelier is faster by{at} | **{far:.1f}x** | | | |

Storage on the same machine answers at once; buckets are some tens of milliseconds away, for each file that is sent.

| what is new | sent to S3 | of the dataset's {_mb(self.stored_bytes)} |
| --- | --- | --- |
| 1% more images ({self.growing.seconds:.1f} s) | {_mb(self.grown_bytes)} | **{share}** |
| one image removed | {_mb(self.removed_bytes)} | its shard ({_mb(self.removed_shard_bytes)}) and the list of files |

| first read into training memory | seconds | |
| --- | --- | --- |
| shards | {shards:.2f} | **{read:.1f}x** as fast |
| torchvision's ImageFolder, as many workers | {files:.2f} | |

{self.many()}
"""

    def many(self) -> str:
        """Ten million images, from these rates."""
        ours = _median(self.ours)
        number, small = self.small
        factor = MANY / self.num_images
        # Between the quarter and the whole, so that what only starting takes does not count ten million times.
        slope = MANY / (self.num_images - number)
        examining, gathering, hashing = (
            seconds * factor for seconds in (self.costs.examining, self.costs.gathering, self.costs.hashing)
        )
        here = (ours.first - small.first) * slope
        sending = max(0.0, (ours.second - small.second) * slope - hashing)
        spread = {n: max(examining / n, gathering) + hashing + sending for n in (4, 16)}
        times = [f"1 machine {(here + hashing + sending) / 3600:.1f} h"]
        times += [f"{n} machines {seconds / 3600:.1f} h" for n, seconds in spread.items()]
        size = self.costs.num_bytes * factor
        memory = "\n".join(
            f"| {number:,} | {version.peak_bytes / 2**20:.0f} MiB | {version.seconds:.1f} |"
            for number, version in ((number, small), (self.num_images, ours), self.large)
        )
        loose = self._plain_for(MANY, _median(self.plain), "seconds")
        return f"""## Ten million images

At these rates, {MANY:,} such images are {size / 1e9:.0f} GB in {size / (64 << 20):,.0f} shards. Decoding and validating
takes {examining / 3600:.1f} hours of a machine like this one. It spreads over as many as there are, by a Dask cluster
(`ATELIER_DASK_ADDRESS`): each file is examined alone, and results are taken in the order of the sources, so that the
shards are the same, byte for byte. What one process does alone is gathering the results and writing shards,
{gathering / 3600:.1f} hours at the same time, and then hashing, {60 * hashing / 3600:.1f} minutes. Sending takes
{60 * sending / 3600:.1f} minutes to storage that answers at once.
Together: {", ".join(times)}. With enough machines, gathering is what takes longest.

A night that adds 1% decodes and sends a hundredth of that. As loose files, `dvc add` and `dvc push` would take
{loose / 3600:.0f} hours and as many requests as there are images.

| images | memory of all processes, at most | seconds |
| --- | --- | --- |
{memory}

What is known of each image lies on the disk, in tables whose caches are bounded, and images wait there for their shard.
The most is taken while versions are sent: DVC holds up to four files of 64 MB in memory. What goes on
growing is what near duplicates are found by, about 50 bytes an image: {50 * MANY / 2**20:.0f} MiB for {MANY:,}."""

    def _plain_for(self, number: int, measured: Versioning, what: Literal["seconds", "cpu_seconds"]) -> float:
        """Of so many files, by what each file beyond a quarter of the measured ones took."""
        fewer, small = self.small_plain
        each = (getattr(measured, what) - getattr(small, what)) / (self.num_plain - fewer)
        return float(getattr(measured, what) + each * (number - self.num_plain))


def _median(versions: list[Versioning]) -> Versioning:
    return sorted(versions, key=lambda version: version.seconds)[len(versions) // 2]


def _row(version: Versioning, first: str, second: str) -> str:
    parts = f"{version.first:.1f} {first}, {version.second:.1f} {second}"
    return f"{version.seconds:.1f} | {parts} | {version.cpu_seconds:.1f} | {version.peak_bytes / 2**20:.0f} MiB"


def _mb(num_bytes: float) -> str:
    return f"{num_bytes / 1e6:.2f} MB"
