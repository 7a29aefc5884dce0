"""Tiny training runs for tests: datasets on disk, configs, and the command line in a process of its own."""

import io
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from PIL import Image

from gan_models.config import TrainConfig, recipe_config
from gan_models.data.image_row import ImageRow
from gan_models.data.image_set import ImageSet, TrainingData
from gan_models.data.shard_writer import write_shards
from gan_models.training.__main__ import main

DCGAN: dict[str, Any] = {"name": "dcgan", "width": 4, "latent_dim": 8, "learning_rate": 0.001}
WGAN_GP: dict[str, Any] = {"name": "wgan_gp", "width": 4, "latent_dim": 8, "discriminator_steps": 2}
R3GAN: dict[str, Any] = {"name": "r3gan", "width": 8, "finest_width": 4, "latent_dim": 8, "gamma": 1.0}
VAE: dict[str, Any] = {"name": "vae", "width": 4, "latent_dim": 8}
PIX2PIX: dict[str, Any] = {
    "name": "pix2pix",
    "width": 4,
    "num_stages": 3,
    "discriminator_width": 4,
    "discriminator_stages": 1,
}
PAIRS: dict[str, Any] = {**PIX2PIX, "source_domain": "photo", "target_domain": "map"}
MASKS: dict[str, Any] = {**PAIRS, "classes": {0: "dark", 200: "light"}, "ignore": 255}
CYCLEGAN: dict[str, Any] = {
    "name": "cyclegan",
    "width": 4,
    "blocks": 1,
    "discriminator_width": 4,
    "discriminator_stages": 1,
    "pool_size": 16,
}
CUT: dict[str, Any] = {
    "name": "cut",
    "width": 4,
    "blocks": 2,
    "discriminator_width": 4,
    "discriminator_stages": 1,
    "num_patches": 8,
    "head_width": 8,
}
STYLE_BANK: dict[str, Any] = {"name": "style_bank", "width": 4, "discriminator_width": 4, "r1_every": 2}
RESTORE: dict[str, Any] = {"name": "restore", "width": 4, "blocks": [1, 1], "adversarial_from": 0.5}
EVERY_DEGRADATION: list[dict[str, Any]] = [
    {"kind": "denoise"},
    {"kind": "denoise", "noise": "poisson"},
    {"kind": "inpaint"},
    {"kind": "deblur"},
    {"kind": "super_resolution", "factor": 2, "chain": "real"},
    {"kind": "watermark"},
]

# Every recipe has one here at least, tiny: they are all stopped and resumed, and trained by two processes.
RECIPES: dict[str, dict[str, Any]] = {
    "dcgan": DCGAN,
    "dcgan with batch norm": {**DCGAN, "discriminator_norm": "batch", "r1_gamma": 0},
    "dcgan with adaptive augmentation": {**DCGAN, "augment": "adaptive", "augment_images": 200, "r2_gamma": 1.0},
    "wgan_gp": WGAN_GP,
    "r3gan": {**R3GAN, "augment_probability": 0.5, "penalty_every": 2},
    "vae": VAE,
    "pix2pix": PIX2PIX,
    "pix2pix with pairs": PAIRS,
    "pix2pix with masks": MASKS,
    "cyclegan": CYCLEGAN,
    "cut": CUT,
    "fastcut": {**CUT, "fast": True},
    "style_bank": STYLE_BANK,
    "restore": RESTORE,
    "restore with every degradation": {**RESTORE, "degradations": EVERY_DEGRADATION, "shares": [2, 1, 1, 1, 1, 1]},
}

SECONDS_UNTIL_HUNG = 600.0  # what a process is given that has not hung, on however busy a machine


def task_and_target(recipe: dict[str, Any]) -> tuple[str, str | None]:
    """What models of `recipe` do, and the domain that they turn images into."""
    config = recipe_config(recipe)
    return config.task, config.domains[1]


def train_section(recipe: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A `train` section for 16x16 images that trains in about a second on a CPU."""
    gray = task_and_target(recipe)[0] == "generate"
    section = {
        "image": {"size": 16, "channels": 1 if gray else 3, "fit": "resize" if gray else "crop"},
        "recipe": recipe,
        "steps": 12,
        "batch_size": 8,
        "checkpoint_every": 4,
        "sample_every": 6,
        "log_every": 2,
        "device": "cpu",
    }
    return {**section, **changes}


def train_config(recipe: dict[str, Any], **changes: Any) -> TrainConfig:
    """`train_section`, validated."""
    return TrainConfig.model_validate(train_section(recipe, **changes))


def image_set(recipe: dict[str, Any], num: int = 20) -> ImageSet:
    """Blobs, one shade per label for generators, and colored ones on larger tiles for all that edits images."""
    if task_and_target(recipe)[0] == "generate":
        random = torch.Generator().manual_seed(0)
        labels = torch.arange(num) % 2
        images = 60 + 120 * labels.view(-1, 1, 1, 1) + torch.randint(40, (num, 1, 16, 16), generator=random)
        return ImageSet(images.to(torch.uint8), labels, ("dark", "light"), "blobs")
    return ImageSet(_tiles(num, seed=0), None, (), "tiles")


def training_data(recipe: dict[str, Any], num: int = 20) -> TrainingData:
    """`image_set` as what a recipe trains on, and as many targets where it turns images into others: labeled ones, or
    the partners of the images where it learns from pairs: their negatives, or masks of what is light in them."""
    images = image_set(recipe, num)
    if task_and_target(recipe)[1] is None:
        return TrainingData(images)
    if recipe_config(recipe).mask_classes:
        masks = 200 * (images.images.float().mean(dim=1, keepdim=True) > 128).to(torch.uint8)
        masks[:, :, :, :3] = 255
        return TrainingData(images, replace(images, images=masks, digest="masks"), is_paired=True)
    if recipe_config(recipe).paired_domains:
        negatives = replace(images, images=255 - images.images, digest="negatives")
        return TrainingData(images, negatives, is_paired=True)
    labels = torch.arange(num) % 2
    targets = ImageSet(_tiles(num, seed=1), labels, ("cafe", "iris"), "paintings")
    return TrainingData(images, targets)


def _tiles(num: int, seed: int) -> torch.Tensor:
    coarse = torch.rand(num, 3, 3, 3, generator=torch.Generator().manual_seed(seed))
    return (torch.nn.functional.interpolate(coarse, size=(24, 24), mode="bilinear") * 255).to(torch.uint8)


def write_run(directory: Path, section: dict[str, Any]) -> list[str]:
    """A dataset and a config under `directory`; returns the arguments that train on them into `directory / "run"`."""
    write_data(section["recipe"], directory / "data")
    (directory / "config.yaml").write_text(yaml.safe_dump({"train": section}))
    return [
        *("--config", str(directory / "config.yaml")),
        *("--data", str(directory / "data"), "--out", str(directory / "run")),
    ]


def write_data(recipe: dict[str, Any], directory: Path, num: int = 20) -> None:
    """`training_data` as a dataset of which every fifth image, or pair, is for evaluation."""
    data = training_data(recipe, num)
    source, target = recipe_config(recipe).domains
    records = _records(data.images, source, is_paired=data.is_paired)
    if data.targets:
        records += _records(data.targets, target, is_paired=data.is_paired)
    write_shards(records, directory)


def _records(images: ImageSet, domain: str | None, *, is_paired: bool) -> list[ImageRow]:
    records = []
    for index, pixels in enumerate(images.images):
        content = io.BytesIO()
        array = pixels.permute(1, 2, 0).numpy()
        Image.fromarray(array[..., 0] if array.shape[2] == 1 else array).save(content, "PNG")
        label = None if images.labels is None else images.label_names[int(images.labels[index])]
        split = "evaluation" if index % 5 == 0 else "train"
        number = 255 - index if is_paired and domain == "map" else index  # sorted by id, no two partners are aligned
        id_ = f"{number:02x}{'' if domain is None else domain.encode().hex()}".ljust(64, "0")
        pair = f"{index}" if is_paired else None
        size = {"width": array.shape[1], "height": array.shape[0]}
        row = {"label": label, "domain": domain, "split": split, "source": "test", "pair": pair, **size}
        records.append(ImageRow(content.getvalue(), f"{index}.png", id_, **row))
    return records


class Running:
    """The command line in a process of its own, a real one, which begins with PyTorch loaded: that takes seconds.

    Args:
        arguments: of `python -m gan_models.training`.
        program: what is run with them instead.
        prepare: called in the process before.
        environment: on top of ours.
    """

    def __init__(
        self,
        arguments: list[str],
        program: Callable[[list[str]], int] = main,
        prepare: Callable[[], object] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        with tempfile.NamedTemporaryFile(delete=False) as file:
            self.error_path = Path(file.name)
        everything = (program, arguments, prepare, environment or {}, self.error_path)
        self.process = _PROCESSES.Process(target=_run, args=everything, daemon=True)
        self.process.start()

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process.pid
        os.kill(self.process.pid, number)

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.is_alive()

    def wait(self, seconds: float = SECONDS_UNTIL_HUNG) -> tuple[int, str]:
        """Its exit code, below 0 where a signal ended it, and what it wrote to standard error."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"it is still running after {seconds} seconds"
        errors = self.error_path.read_text()
        self.error_path.unlink()
        return self.process.exitcode, errors

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something has happened."""
        deadline = time.monotonic() + SECONDS_UNTIL_HUNG
        while not condition():
            assert self.is_alive(), f"the process ended before: {self.wait()}"
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.005)


def _run(
    program: Callable[[list[str]], int],
    arguments: list[str],
    prepare: Callable[[], object] | None,
    environment: dict[str, str],
    error_path: Path,
) -> None:
    os.environ.update(environment)
    with error_path.open("w") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    if prepare:
        prepare()
    sys.exit(program(arguments))


_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.support.training_runs"])
