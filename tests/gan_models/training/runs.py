"""Tiny training runs for tests: datasets on disk, configs, and the command line in a process of its own."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image

from gan_models.config import TrainConfig
from gan_models.images.image_set import ImageSet, TrainingData
from gan_models.images.shards import ImageRecord, write_shards

DCGAN: dict[str, Any] = {"name": "dcgan", "width": 4, "latent_dim": 8, "learning_rate": 0.001}
RESTORE: dict[str, Any] = {"name": "restore", "width": 4, "blocks": [1, 1], "adversarial_from": 0.5}


def train_section(recipe: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A `train` section for 16x16 images that trains in about a second on a CPU."""
    grey = recipe["name"] == "dcgan"
    section = {
        "image": {"size": 16, "channels": 1 if grey else 3, "fit": "resize" if grey else "crop"},
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
    """Blobs, one shade per label for generators, and coloured ones on larger tiles for editing models."""
    random = torch.Generator().manual_seed(0)
    if recipe["name"] == "dcgan":
        labels = torch.arange(num) % 2
        images = 60 + 120 * labels.view(-1, 1, 1, 1) + torch.randint(40, (num, 1, 16, 16), generator=random)
        return ImageSet(images.to(torch.uint8), labels, ("dark", "light"), ("",) * num, ("",) * num, "blobs")
    coarse = torch.rand(num, 3, 3, 3, generator=random)
    images = torch.nn.functional.interpolate(coarse, size=(24, 24), mode="bilinear") * 255
    return ImageSet(images.to(torch.uint8), None, (), ("",) * num, ("",) * num, "tiles")


def training_data(recipe: dict[str, Any], num: int = 20) -> TrainingData:
    """`image_set` as what a recipe trains on."""
    return TrainingData(image_set(recipe, num))


def write_run(directory: Path, section: dict[str, Any]) -> list[str]:
    """A dataset and a config under `directory`; returns the command that trains on them into `directory / "run"`."""
    images = image_set(section["recipe"])
    records = []
    for index, pixels in enumerate(images.images):
        content = io.BytesIO()
        array = pixels.permute(1, 2, 0).numpy()
        Image.fromarray(array[..., 0] if array.shape[2] == 1 else array).save(content, "PNG")
        label = None if images.labels is None else images.label_names[int(images.labels[index])]
        split = "evaluation" if index % 5 == 0 else "train"
        height, width = np.asarray(array).shape[:2]
        records.append(
            ImageRecord(content.getvalue(), f"{index}.png", f"{index:064x}", split, label, None, width, height, "test")
        )
    write_shards(records, directory / "data")
    (directory / "config.yaml").write_text(yaml.safe_dump({"train": section}))
    return [
        *(sys.executable, "-m", "gan_models.training", "--config", str(directory / "config.yaml")),
        *("--data", str(directory / "data"), "--out", str(directory / "run")),
    ]


def finish(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end."""
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
