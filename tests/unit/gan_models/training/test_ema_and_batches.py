"""The moving average of weights, and batches as a function of the step."""

import pytest
import torch
from torch import nn

from gan_models.data.image_set import TrainingData
from gan_models.training.batches import Batches
from gan_models.training.ema import ExponentialMovingAverage
from tests.support.training_runs import DCGAN, RESTORE, image_set, train_config, training_data

CPU = torch.device("cpu")


def test_after_its_half_life_the_average_has_come_half_the_way() -> None:
    network = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(network.weight)
    average = ExponentialMovingAverage(network, half_life_images=100)
    nn.init.ones_(network.weight)
    for _ in range(10):
        average.update(network, num_images_seen=1_000_000, batch_size=10)
    torch.testing.assert_close(average.network.weight, torch.full((2, 2), 0.5))


def test_early_on_the_average_follows_closely() -> None:
    network = nn.Linear(2, 2, bias=False)
    average = ExponentialMovingAverage(network, half_life_images=1e9)
    nn.init.ones_(network.weight)
    average.update(network, num_images_seen=10, batch_size=10)
    torch.testing.assert_close(average.network.weight, network.weight, atol=1e-4, rtol=0)


def test_statistics_of_batch_norm_are_averaged_and_its_counter_copied() -> None:
    network = nn.BatchNorm1d(3)
    average = ExponentialMovingAverage(network, half_life_images=0)
    network(torch.randn(8, 3) + 5)
    average.update(network, num_images_seen=8, batch_size=8)
    torch.testing.assert_close(average.network.running_mean, network.running_mean)
    assert average.network.num_batches_tracked == 1


def test_every_image_is_seen_once_an_epoch_whatever_the_batch_size() -> None:
    images = image_set(DCGAN, num=20)
    images.images[:, 0, 0, 0] = torch.arange(20, dtype=torch.uint8)
    batches = Batches(TrainingData(images), train_config(DCGAN, batch_size=8), CPU)
    seen = torch.cat([batches.at(step).images[:, 0, 0, 0] for step in (1, 2, 3, 4, 5)])
    seen = ((seen + 1) * 127.5).round().int()
    assert sorted(seen[:20].tolist()) == sorted(seen[20:].tolist()) == list(range(20))
    assert seen[:20].tolist() != seen[20:].tolist()


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    images = image_set(RESTORE)
    first, second = (Batches(TrainingData(images), train_config(RESTORE, flips=True), CPU) for _ in range(2))
    first.at(1)
    assert torch.equal(first.at(9).images, second.at(9).images)
    assert not torch.equal(first.at(9).images, first.at(10).images)
    other = Batches(TrainingData(images), train_config(RESTORE, flips=True, seed=1), CPU)
    assert not torch.equal(first.at(9).images, other.at(9).images)


@pytest.mark.parametrize("recipe", [DCGAN, RESTORE])
def test_batches_are_of_the_size_that_the_config_asks_for(recipe) -> None:
    batch = Batches(training_data(recipe), train_config(recipe), CPU).at(1)
    assert batch.images.shape[2:] == (16, 16)
    assert -1 <= batch.images.min() < batch.images.max() <= 1
    assert (batch.labels is None) == (recipe is RESTORE)
