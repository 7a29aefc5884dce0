"""Each switch of the section `speed` does what it says; how fast they are is for benchmarks."""

import shutil
from pathlib import Path

import pytest
import torch

from gan_models.recipes import build_recipe
from gan_models.recipes.memory_format import memory_format
from gan_models.training.loop import Outcome, Trainer
from tests.support.training_runs import CUT, DCGAN, train_config, training_data

CPU = torch.device("cpu")


def weight_of(**speed: object) -> torch.Tensor:
    recipe = build_recipe(train_config({**DCGAN, "width": 8}, speed=speed), 2)
    return next(p for p in recipe.networks["discriminator"].parameters() if p.ndim == 4 and min(p.shape) > 1)


def test_the_memory_format_of_convolutions_is_switched() -> None:
    assert weight_of(channels_last=True).is_contiguous(memory_format=torch.channels_last)
    assert weight_of(channels_last=False).is_contiguous()


def test_instance_norm_keeps_networks_contiguous_on_a_cpu_where_nothing_else_is_said() -> None:
    assert memory_format(train_config(CUT), CPU) == torch.contiguous_format
    assert memory_format(train_config(CUT), torch.device("cuda")) == torch.channels_last
    assert memory_format(train_config(DCGAN), CPU) == torch.channels_last


@pytest.mark.parametrize("fused", [True, False])
def test_the_optimizer_is_switched(fused: bool) -> None:
    recipe = build_recipe(train_config(DCGAN, speed={"fused_optimizer": fused}), 2)
    assert all(optimizer.defaults["fused"] is fused for optimizer in recipe.optimizers.values())


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)],
)
def test_the_precision_of_forward_passes_is_switched(precision: str, expected: torch.dtype) -> None:
    recipe = build_recipe(train_config(DCGAN, speed={"precision": precision}), 2)
    with recipe.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


@pytest.mark.parametrize(
    "speed",
    [{"channels_last": False}, {"fused_optimizer": False}, {"precision": "bfloat16"}],
    ids=["contiguous", "unfused", "bfloat16"],
)
def test_a_run_with_a_switch_turned_ends_near_the_run_without(tmp_path: Path, speed) -> None:
    data, runs = training_data(DCGAN), []
    for name, section in (("plain", {}), ("turned", speed)):
        (tmp_path / name).mkdir()
        runs.append(Trainer(train_config(DCGAN, steps=4, speed=section), data, data, tmp_path / name, CPU))
        assert runs[-1].run() is Outcome.DONE
    plain, turned = (torch.cat([p.flatten() for p in run.recipe.generator.parameters()]) for run in runs)
    assert (plain - turned).abs().max() < 0.02  # four steps of Adam at 0.001, each in whatever direction, are 0.008


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on CPUs")
def test_a_compiled_generator_trains_and_its_bundle_and_checkpoints_are_those_of_a_plain_one(tmp_path: Path) -> None:
    data, config = training_data(DCGAN), train_config(DCGAN, steps=3, speed={"compile": True})
    run = Trainer(config, data, data, tmp_path, CPU)
    assert run.run(lambda: run.step == 2) is Outcome.PREEMPTED
    run = Trainer(config, data, data, tmp_path, CPU)
    assert run.step == 2
    assert run.run() is Outcome.DONE
    assert run.ema.state_dict().keys() == build_recipe(config, 2).generator.state_dict().keys()
