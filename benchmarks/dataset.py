"""What versions of a dataset cost, next to the plain tools: `python -m benchmarks.dataset`.

Small PNGs, crops of the built-in photographs, are versioned into S3 (a real server on this machine) in two ways, which
take turns: decoded, validated, put into shards and sent, as the dataset stage does; and as loose files, by `dvc add`
and `dvc push`. Then 1% of images are added, one is removed, and a version is read into training memory, next to
torchvision's ImageFolder with as many workers. From the rates it computes what 10 million images would cost.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.support.dataset_report import Costs, Reading, Report
from benchmarks.support.dataset_ways import (
    SHARE,
    make_images,
    make_project,
    read_files,
    read_shards,
    stored,
    with_atelier,
    with_dvc,
)
from benchmarks.support.slow_network import slow_network
from tests.support.s3_server import S3Server


def measure_reading(shards: Path, files: Path, rounds: int) -> list[Reading]:
    """Seconds of both, in turns, after a first round that is not counted; neither is helped by what it read before."""
    workers = min(8, len(os.sched_getaffinity(0)))

    def timed(read: Callable[[], int], folder: Path) -> tuple[float, int]:
        for file in folder.rglob("*"):
            if file.is_file():
                with file.open("rb") as stream:
                    os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        began = time.perf_counter()
        num_bytes = read()
        return time.perf_counter() - began, num_bytes

    readings = []
    for _ in range(rounds + 1):
        ours, our_bytes = timed(lambda: read_shards(shards), shards)
        plain, plain_bytes = timed(lambda: read_files(files, workers), files)
        if our_bytes != plain_bytes:
            raise RuntimeError(f"{our_bytes} bytes from shards, {plain_bytes} from files: not the same images")
        readings.append(Reading(ours, plain))
    return readings[1:]


def measure_costs(images: Path, shards: Path, scratch: Path) -> Costs:
    """Measure what can be spread over machines, and what one process does alone, each by itself."""
    import hashlib

    from flows.datasets.builder import build_dataset
    from flows.sources.open import open_source
    from gan_models.data.shards import shard_paths
    from gan_models.ingest.decode_pool import DecodingWorkers
    from gan_models.ingest.decoding import DecodingLimits
    from gan_models.ingest.file_check import Demands

    source = open_source(str(images), scratch)
    began = time.perf_counter()
    with DecodingWorkers(Demands(DecodingLimits())) as workers:
        found = list(workers.examine(source.items()))
    examined = time.perf_counter()
    build_dataset(
        [source],
        scratch / "copy",
        evaluation_share=SHARE,
        quarantine=scratch / "aside",
        examine=lambda items, demands, recall: (one for _, one in zip(items, found, strict=True)),
    )
    gathered = time.perf_counter()
    for path in shard_paths(shards):
        hashlib.md5(path.read_bytes(), usedforsecurity=False)
    hashing = time.perf_counter() - gathered
    num_bytes = sum(path.stat().st_size for path in shard_paths(shards))
    return Costs(len(found), num_bytes, examined - began, gathered - examined, hashing)


def main() -> None:
    """Measure and print, and write `docs/dataset-speed.md`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataset", description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument(
        "--plain-images", type=int, help="that DVC versions; its time for all follows from a quarter of these"
    )
    parser.add_argument("--large", type=int, default=200_000, help="images of a version whose memory is measured")
    parser.add_argument("--rounds", type=int, default=1, help="of versioning, by both ways")
    parser.add_argument(
        "--round-trip", type=float, default=0.02, help="seconds to the storage and back, in a turn of its own"
    )
    parser.add_argument("--reading-rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    parser.add_argument("--out", type=Path, help="write the report as Markdown, such as docs/dataset-speed.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        report = measure(
            Path(scratch),
            options.images,
            options.plain_images or options.images,
            options.large,
            options.rounds,
            options.round_trip,
            options.reading_rounds,
        )
    print(report.text())
    if options.out:
        options.out.write_text(report.text())


def measure(
    scratch: Path, num: int, num_plain: int, num_large: int, rounds: int, round_trip: float, reading_rounds: int
) -> Report:
    """All of it, in a scratch folder."""
    sample, quarter = scratch / "sample", scratch / "quarter"
    make_images(sample, 0, num_plain)
    make_images(quarter, 0, num_plain // 4)
    images, few = scratch / "images", scratch / "few"
    make_images(images, 0, num)
    make_images(few, 0, num // 4)
    server = S3Server(scratch / "s3")
    server.start()
    try:
        environment = {**os.environ, **server.environment(), "DVC_NO_ANALYTICS": "1"}
        os.environ.update(server.environment())
        small_root = scratch / "small"
        make_project(small_root, server)
        small = with_atelier(few, small_root, environment)
        print(f"{num // 4:,} images: {small}", flush=True)
        make_project(scratch / "small-plain", server)
        small_plain = with_dvc(quarter, scratch / "small-plain", environment)
        ours, plain = [], []
        for turn in range(rounds):
            root = scratch / f"ours-{turn}"
            bucket = make_project(root, server)
            ours.append(with_atelier(images, root, environment))
            print(f"atelier: {ours[-1]}", flush=True)
            loose = scratch / f"plain-{turn}"
            make_project(loose, server)
            plain.append(with_dvc(sample, loose, environment))
            print(f"dvc: {plain[-1]}", flush=True)
        with slow_network(server.endpoint, round_trip) as address:
            make_project(scratch / "far", server, address)
            far = with_atelier(images, scratch / "far", environment)
            make_project(scratch / "far-plain", server, address)
            far_plain = with_dvc(sample, scratch / "far-plain", environment)
        shards = root / "data" / "crops"
        readings = measure_reading(shards, images, reading_rounds)
        costs = measure_costs(images, shards, scratch / "costs")
        whole = stored(server, bucket)
        make_images(images, num, num + num // 100)
        again = with_atelier(images, root, environment)
        grown = stored(server, bucket)
        os.environ["ATELIER_PROJECT"] = str(root)
        removed = remove_one(shards)
        make_images(images, num + num // 100, num_large)
        make_project(scratch / "large", server)
        large = with_atelier(images, scratch / "large", environment)
        return Report(
            num_images=num,
            num_plain=num_plain,
            small_plain=(num_plain // 4, small_plain),
            small=(num // 4, small),
            large=(num_large, large),
            ours=ours,
            plain=plain,
            round_trip=round_trip,
            far=far,
            far_plain=far_plain,
            readings=readings,
            costs=costs,
            stored_bytes=whole,
            grown_bytes=grown - whole,
            growing=again,
            removed_bytes=stored(server, bucket) - grown,
            removed_shard_bytes=removed,
        )
    finally:
        server.kill()


def remove_one(shards: Path) -> int:
    """Take one image out, send the version, and return the bytes of the shard it was in, as it is now."""
    from flows.config.settings import Settings
    from flows.datasets import versions
    from gan_models.data.shard_writer import remove_images
    from gan_models.data.shards import read_rows, shard_paths

    before = set(shard_paths(shards))
    remove_images(shards, [read_rows(shards, ["id"])[0]["id"]])
    versions.add_and_push(Settings(), "crops")
    return sum(path.stat().st_size for path in set(shard_paths(shards)) - before)


if __name__ == "__main__":
    main()
