"""Batches of pairs: partners stay together, and whatever is random is the same for both."""

from pathlib import Path

import pytest
import torch

from gan_models.data.image_set import TrainingData
from gan_models.images.pixels import to_uint8
from gan_models.images.randomness import Share
from gan_models.recipes.base import Batch
from gan_models.training.batches import Batches
from gan_models.training.loop import Outcome, Trainer
from gan_models.training.placement import load_data
from tests.support.checked import present
from tests.support.training_runs import PAIRS, image_set, train_config, training_data, write_data

CPU = torch.device("cpu")
CONFIG = train_config(PAIRS, flips=True, steps=40)
STEPS = (1, 2, 3, 4, 5, 17, 40)  # of 20 images in batches of 8: within epochs and across their ends


def are_partners(batch: Batch) -> bool:
    return torch.equal(to_uint8(present(batch.targets)), 255 - to_uint8(batch.images))


def test_targets_are_the_partners_of_the_images_through_shuffling() -> None:
    batches = Batches(training_data(PAIRS), CONFIG, CPU)
    assert all(are_partners(batches.at(step)) for step in STEPS)
    assert not torch.equal(batches.at(1).images, batches.at(2).images)


def test_where_both_sides_are_the_same_pictures_both_tensors_are_the_same() -> None:
    images = image_set(PAIRS)
    batches = Batches(TrainingData(images, images, is_paired=True), CONFIG, CPU)
    for step in STEPS:
        batch = batches.at(step)
        assert torch.equal(batch.images, present(batch.targets))
    first = batches.fixed(8)
    assert torch.equal(first.images, present(first.targets))


def test_windows_and_flips_do_vary() -> None:
    one = image_set(PAIRS, num=1)
    pairs = TrainingData(one, one, is_paired=True)
    batch = Batches(pairs, train_config(PAIRS, flips=True, batch_size=16), CPU).at(1)
    assert len(torch.unique(present(batch.targets), dim=0)) > 8
    assert torch.equal(batch.images, present(batch.targets))


def test_without_pairs_targets_go_their_own_ways() -> None:
    images = image_set(PAIRS)
    batch = Batches(TrainingData(images, images), CONFIG, CPU).at(1)
    assert not torch.equal(batch.images, present(batch.targets))


def test_the_shares_of_two_processes_are_the_batch_of_one() -> None:
    data = training_data(PAIRS)
    whole = Batches(data, CONFIG, CPU).at(3)
    parts = [Batches(data, CONFIG, CPU, Share(index, 2)).at(3) for index in range(2)]
    assert all(are_partners(part) for part in parts)
    assert torch.equal(torch.cat([present(part.targets) for part in parts]), present(whole.targets))


@pytest.mark.parametrize("place", ["memory", "mapped"])
def test_pairs_of_a_dataset_are_partners_wherever_they_live_and_in_previews(tmp_path: Path, place) -> None:
    write_data(PAIRS, tmp_path / "data", num=40)
    config = train_config(PAIRS, flips=True, steps=40, speed={"data": place})
    loaded = load_data(tmp_path / "data", config, CPU, tmp_path / "cache")
    assert loaded.training.is_paired
    assert len(loaded.training.images.images) == 32
    batches = Batches(loaded.training, config, CPU, place=loaded.place)
    assert all(are_partners(batches.at(step)) for step in STEPS)
    previews = Batches(loaded.previews, config, CPU).fixed(8)
    assert len(previews.images) == 8
    assert are_partners(previews)


def test_a_resumed_run_is_given_the_pairs_that_an_uninterrupted_one_is(tmp_path: Path, monkeypatch) -> None:
    seen: list[tuple[int, torch.Tensor, torch.Tensor]] = []
    original = Batches.at

    def at(self: Batches, step: int) -> Batch:
        batch = original(self, step)
        assert are_partners(batch)
        seen.append((step, batch.images, present(batch.targets)))
        return batch

    monkeypatch.setattr(Batches, "at", at)
    config, data = train_config(PAIRS, flips=True), training_data(PAIRS)
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    Trainer(config, data, data, tmp_path / "whole", CPU).run()
    whole, seen = seen, []
    stopped = Trainer(config, data, data, tmp_path / "stopped", CPU)
    assert stopped.run(lambda: stopped.step == 5) is Outcome.PREEMPTED
    Trainer(config, data, data, tmp_path / "stopped", CPU).run()
    assert [step for step, *_ in seen] == [step for step, *_ in whole] == list(range(1, 13))
    for (_, *before), (_, *after) in zip(whole, seen, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
