"""Where images live changes nothing of the batches, and the size of a set nothing of their cost."""

from pathlib import Path

import pytest
import torch

from gan_models.config import SpeedConfig
from gan_models.data.image_set import TrainingData
from gan_models.images.randomness import Share
from gan_models.recipes.memory_format import memory_format
from gan_models.training.batches import Batches
from gan_models.training.placement import load_data, place_for
from tests.support.checked import present
from tests.support.training_runs import CUT, DCGAN, PAIRS, RESTORE, image_set, train_config, train_section, write_run

CPU = torch.device("cpu")


@pytest.mark.parametrize("recipe", [DCGAN, RESTORE, CUT, PAIRS], ids=["resized", "windows", "two domains", "pairs"])
def test_batches_are_the_same_bit_for_bit_wherever_the_images_live(tmp_path: Path, recipe) -> None:
    write_run(tmp_path, train_section(recipe))
    batches = {}
    for mode in ("device", "memory", "mapped"):
        config = train_config(recipe, flips=True, speed={"data": mode})
        loaded = load_data(tmp_path / "data", config, CPU, tmp_path / "cache")
        assert loaded.place == ("mapped" if mode == "mapped" else "memory")
        batches[mode] = Batches(loaded.training, config, CPU, place=loaded.place)
    for step in (1, 2, 3, 7, 8, 5, 12):  # in order, with leaps forwards and back as after a roll back, to the last
        expected = batches["device"].at(step)
        for mode in ("memory", "mapped"):
            batch = batches[mode].at(step)
            assert torch.equal(batch.images, expected.images), (mode, step)
            assert batch.images.is_contiguous(memory_format=memory_format(config, CPU))
            assert expected.labels is None or torch.equal(present(batch.labels), expected.labels)
            assert expected.targets is None or torch.equal(present(batch.targets), expected.targets)


def test_the_shares_of_two_processes_are_the_batch_of_one() -> None:
    config, data = train_config(RESTORE, flips=True), TrainingData(image_set(RESTORE))
    whole = Batches(data, config, CPU).at(3)
    parts = [Batches(data, config, CPU, Share(index, 2)).at(3) for index in range(2)]
    assert torch.equal(torch.cat([part.images for part in parts]), whole.images)


def test_auto_takes_memory_up_to_the_limit_and_a_mapped_file_beyond() -> None:
    speed = SpeedConfig(memory_limit=1)
    assert place_for(1 << 30, speed, CPU) == "memory"
    assert place_for((1 << 30) + 1, speed, CPU) == "mapped"
    assert place_for(1, speed, CPU, num_processes=2) == "mapped"


def test_on_a_gpu_auto_takes_its_memory_where_the_images_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10 << 30, 80 << 30))
    gpu, speed = torch.device("cuda"), SpeedConfig(memory_limit=5)
    assert place_for(3 << 30, speed, gpu) == "device"
    assert place_for(5 << 30, speed, gpu) == "memory"
    assert place_for(6 << 30, speed, gpu) == "mapped"


def test_the_order_of_an_epoch_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    original, drawn = torch.randperm, []

    def noted(num, **options):
        drawn.append(num)
        return original(num, **options)

    monkeypatch.setattr(torch, "randperm", noted)
    batches = Batches(TrainingData(image_set(DCGAN, num=64)), train_config(DCGAN, batch_size=8), CPU)
    for step in range(1, 17):
        batches.at(step)
    assert drawn == [64, 64]


def test_an_error_in_gathering_the_next_batch_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = Batches(TrainingData(image_set(DCGAN)), train_config(DCGAN), CPU, place="mapped")
    batches.at(1)
    monkeypatch.setattr(torch, "randperm", lambda num, **options: 1 / 0)
    batches.at(2)  # the third, with which the second epoch begins, is gathered meanwhile
    with pytest.raises(ZeroDivisionError):
        batches.at(3)
