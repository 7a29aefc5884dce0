"""What training speed is compared with: reference implementations, run as their authors wrote them, from a path.

None of their code is here. Each is started by its own training program; only R3GAN's, which needs a GPU, is replaced on
a CPU by `benchmarks/r3gan_reference.py`, the same loop around the same classes.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Command:
    """A program to time. `step_line`: a regular expression that matches the line it prints at each step."""

    arguments: list[str]
    directory: Path
    step_line: str
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One recipe against one reference, at the same network, batch, image size and precision.

    option: of the command line, that says where the reference is
    train: our `train` section
    reference: from (its path, folder of PNG files, steps, device) to what is to be run
    """

    name: str
    option: str
    train: dict[str, Any]
    reference: Callable[[Path, Path, int, str], Command]


def cases(device: str) -> list[Case]:
    """All comparisons: at the references' own settings on a GPU, at sizes that a CPU can do on a CPU."""
    small = device == "cpu"
    return [_dcgan(), _cyclegan(small), _cut(small), _r3gan(small)]


def _section(recipe: dict[str, Any], size: int, batch_size: int, fit: str = "resize") -> dict[str, Any]:
    return {"image": {"size": size, "channels": 3, "fit": fit}, "recipe": recipe, "batch_size": batch_size}


def _dcgan() -> Case:
    recipe = {"name": "dcgan", "width": 64, "latent_dim": 100, "conditional": False, "discriminator_norm": "batch"}
    recipe |= {"r1_gamma": 0, "learning_rate": 2e-4, "betas": [0.5, 0.999], "schedule": "constant"}

    def reference(path: Path, images: Path, steps: int, device: str) -> Command:
        num_epochs = str(1 + steps * 64 // max(1, sum(1 for _ in images.rglob("*.png"))))
        program = next(path.rglob("dcgan/main.py"), path / "main.py")
        arguments = [sys.executable, "-u", str(program), "--dataset", "folder", "--dataroot", str(images)]
        arguments += ["--outf", str(images.parent), "--niter", num_epochs, "--workers", str(os.cpu_count())]
        arguments += ["--accel"] if device == "cuda" else []
        return Command(arguments, program.parent, r"^\[\d+/\d+\]\[\d+/\d+\] Loss_D")

    return Case("DCGAN, 64x64, batch 64", "dcgan", _section(recipe, 64, 64), reference)


# The program of the CUT repository holds CycleGAN too, which was not kept up with it: its method for the first batch
# lacks an argument, and it reads an option that is no longer there.
_CUT_PROGRAM = """
import argparse, runpy, sys
argparse.Namespace.amp = False
sys.path.insert(0, "")
from models.cycle_gan_model import CycleGANModel
CycleGANModel.data_dependent_initialize = lambda self, data=None: None
runpy.run_path("train.py", run_name="__main__")
"""


def _cut_command(path: Path, images: Path, steps: int, device: str, *, size: int, batch: int, extra: str) -> Command:
    num_epochs = 1 + steps * batch // max(1, sum(1 for _ in (images / "trainA").iterdir()))
    options = f"--dataroot {images} --checkpoints_dir {images.parent} --name reference --gpu_ids "
    options += ("0" if device == "cuda" else "-1") + f" --batch_size {batch} --print_freq {batch} --num_threads 2"
    options += f" --preprocess crop --load_size {size} --crop_size {size} --no_flip --display_id -1 --no_html"
    options += f" --n_epochs {num_epochs} --n_epochs_decay 0 {extra}"
    arguments = [sys.executable, "-u", "-c", _CUT_PROGRAM, *options.split()]
    return Command(arguments, path, r"^\(epoch: \d+, iters: \d+")


def _cyclegan(small: bool) -> Case:
    size, batch, width, blocks = (64, 4, 32, 6) if small else (256, 1, 64, 9)
    recipe = {"name": "cyclegan", "width": width, "blocks": blocks, "discriminator_width": width}
    extra = f"--model cycle_gan --netG resnet_{blocks}blocks --ngf {width} --ndf {width} --no_antialias "
    extra += "--no_antialias_up --pool_size 50"

    def reference(path: Path, images: Path, steps: int, device: str) -> Command:
        return _cut_command(path, images, steps, device, size=size, batch=batch, extra=extra)

    return Case(f"CycleGAN, {size}x{size}, batch {batch}", "cut", _section(recipe, size, batch), reference)


def _cut(small: bool) -> Case:
    size, batch, width, blocks = (64, 4, 32, 6) if small else (256, 1, 64, 9)
    recipe = {"name": "cut", "width": width, "blocks": blocks, "discriminator_width": width}
    extra = f"--model cut --CUT_mode CUT --netG resnet_{blocks}blocks --ngf {width} --ndf {width}"

    def reference(path: Path, images: Path, steps: int, device: str) -> Command:
        return _cut_command(path, images, steps, device, size=size, batch=batch, extra=extra)

    return Case(f"CUT, {size}x{size}, batch {batch}", "cut", _section(recipe, size, batch), reference)


def _r3gan(small: bool) -> Case:
    width, group_width, blocks, batch = (64, 16, 1, 32) if small else (768, 16, 2, 512)
    recipe = {"name": "r3gan", "width": width, "blocks": blocks, "group_width": group_width, "conditional": False}

    def reference(path: Path, images: Path, steps: int, device: str) -> Command:
        program = Path(__file__).with_name("r3gan_reference.py")
        arguments = [sys.executable, "-P", "-u", str(program), "--images", str(images), "--steps", str(steps)]
        arguments += ["--widths", *4 * [str(width)], "--group-width", str(group_width), "--blocks", str(blocks)]
        arguments += ["--batch-size", str(batch), "--device", device]
        found_first = os.pathsep.join(filter(None, [str(path), os.environ.get("PYTHONPATH")]))
        return Command(arguments, path, r"^step \d+", {"PYTHONPATH": found_first})

    return Case(f"R3GAN, 32x32, batch {batch}", "r3gan", _section(recipe, 32, batch), reference)
