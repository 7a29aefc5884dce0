"""The two ways that versions of a dataset are made and read in the benchmark: Atelier's, and the plain tools'."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.support.dataset_report import Versioning
from benchmarks.support.processes import run_measured
from tests.support.s3_server import S3Server

SIZE = 32  # pixels of a side
SHARE = 0.25  # for evaluation


def make_images(folder: Path, first: int, last: int) -> None:
    """Different crops of real photographs, numbers `first` to `last`, in a sub-folder for each photograph."""
    import io

    import numpy as np
    from PIL import Image

    from flows.sources.open import open_source

    source = open_source("builtin:photos", Path.cwd())
    photos = [(Path(item.path).stem, Image.open(io.BytesIO(item.read())).convert("RGB")) for item in source.items()]
    made = 0
    seen: set[bytes] = set()
    random = np.random.default_rng(0)
    while made < last:
        name, photo = photos[int(random.integers(len(photos)))]
        left, top = (int(random.integers(side - SIZE)) for side in photo.size)
        crop = photo.crop((left, top, left + SIZE, top + SIZE))
        if (pixels := crop.tobytes()) in seen:
            continue
        seen.add(pixels)
        if made >= first:
            (folder / name).mkdir(parents=True, exist_ok=True)
            crop.save(folder / name / f"{made:06d}.png")
        made += 1


def make_project(root: Path, server: S3Server, endpoint: str | None = None) -> str:
    """Make a DVC project in git whose remote is a new bucket, returned. `endpoint`: another way to the server."""
    bucket = server.new_bucket()
    (root / "configs").mkdir(parents=True)
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text(
        f"[core]\n    remote = s3\n['remote \"s3\"']\n    url = s3://{bucket}/data\n"
        f"    endpointurl = {endpoint or server.endpoint}\n    verify = true\n"
    )
    subprocess.run(["git", "init", "--quiet", root], check=True)
    return bucket


def stored(server: S3Server, bucket: str) -> int:
    """Bytes in a bucket."""
    pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return sum(found["Size"] for page in pages for found in page.get("Contents", []))


def with_atelier(images: Path, root: Path, environment: dict[str, str]) -> Versioning:
    """One version of what is in `images`, in a process of its own."""
    program = [sys.executable, "-m", "benchmarks.support.dataset_ways", str(images)]
    measured = run_measured(program, Path.cwd(), {**environment, "ATELIER_PROJECT": str(root)})
    parts = json.loads(measured.output.splitlines()[-1])
    return Versioning(measured.seconds, measured.cpu_seconds, measured.peak_bytes, parts["build"], parts["send"])


def with_dvc(images: Path, root: Path, environment: dict[str, str]) -> Versioning:
    """Version the same files as they are, by DVC alone."""
    shutil.copytree(images, root / "images")
    dvc = [sys.executable, "-m", "dvc"]
    added = run_measured([*dvc, "add", "images"], root, environment)
    pushed = run_measured([*dvc, "push"], root, environment)
    return Versioning(
        added.seconds + pushed.seconds,
        added.cpu_seconds + pushed.cpu_seconds,
        max(added.peak_bytes, pushed.peak_bytes),
        added.seconds,
        pushed.seconds,
    )


def version_here(images: Path) -> None:
    """Do what the dataset stage does, without Prefect and MLflow, in the project of the environment."""
    from flows.config.settings import Settings
    from flows.datasets import versions
    from flows.datasets.builder import build_dataset
    from flows.sources.open import open_source

    settings = Settings()
    folder = settings.root / "data" / "crops"
    folder.parent.mkdir(exist_ok=True)
    began = time.monotonic()
    source = open_source(str(images), settings.root)
    build_dataset(
        [source],
        folder,
        evaluation_share=SHARE,
        quarantine=settings.state / "quarantine",
        file_cache=settings.state / "file-cache.sqlite",
    )
    built = time.monotonic()
    versions.add_and_push(settings, "crops")
    print(json.dumps({"build": built - began, "send": time.monotonic() - built}))


def read_shards(folder: Path) -> int:
    """Bytes of pixels in memory, read by Atelier for training."""
    from gan_models.config import ImageConfig
    from gan_models.data.image_set import load_split

    image = ImageConfig(size=SIZE, channels=3)
    return sum(load_split(folder, split, image).images.nbytes for split in ("train", "evaluation"))


def read_files(folder: Path, workers: int) -> int:
    """Read the same, by torchvision's ImageFolder and PyTorch's DataLoader."""
    import torch
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import PILToTensor

    loader: DataLoader[Any] = DataLoader(
        ImageFolder(str(folder), transform=PILToTensor()), batch_size=256, num_workers=workers
    )
    return int(torch.cat([batch for batch, _ in loader]).nbytes)


if __name__ == "__main__":
    version_here(Path(sys.argv[1]))
