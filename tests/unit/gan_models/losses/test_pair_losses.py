"""Losses of pairs, and the penalties, against values worked out by hand."""

import math

import pytest
import torch

from gan_models.images.randomness import random_for
from gan_models.losses.adversarial import ADVERSARIAL_LOSSES
from gan_models.losses.penalties import gradient_penalties, wasserstein_gradient_penalty

REAL, FAKE = torch.tensor([3.0]), torch.tensor([1.0])


def linear(weights):
    return lambda images: (weights * images).sum(dim=(1, 2, 3))


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("non_saturating", math.log(1 + math.exp(-3)) + math.log(1 + math.exp(1)), math.log(1 + math.exp(-1))),
        ("lsgan", 4.0 + 1.0, 0.0),
        ("hinge", 0.0 + 2.0, -1.0),
        ("wasserstein", -3.0 + 1.0, -1.0),
        ("relativistic", math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))),
    ],
)
def test_what_both_networks_pay_for_a_pair(name, discriminator, generator) -> None:
    loss = ADVERSARIAL_LOSSES[name]
    assert loss.on_discriminator(REAL, FAKE).item() == pytest.approx(discriminator, abs=1e-6)
    assert loss.on_generator(FAKE, REAL).item() == pytest.approx(generator, abs=1e-6)


def test_a_relativistic_loss_heeds_the_difference_alone() -> None:
    loss = ADVERSARIAL_LOSSES["relativistic"]
    torch.testing.assert_close(loss.on_discriminator(REAL + 7, FAKE + 7), loss.on_discriminator(REAL, FAKE))
    torch.testing.assert_close(loss.on_generator(FAKE + 7, REAL + 7), loss.on_generator(FAKE, REAL))


@pytest.mark.parametrize("name", ["wasserstein", "relativistic"])
def test_where_logits_have_no_boundary_accuracy_does_not_depend_on_their_level(name) -> None:
    real, fake = torch.tensor([1.0, 2.0, 3.0, -9.0]), torch.tensor([-1.0, -2.0, -3.0, 9.0])
    for level in (0.0, 100.0):
        accuracies = ADVERSARIAL_LOSSES[name].accuracies(real + level, fake + level)
        assert [a.item() for a in accuracies] == [0.75, 0.75]
    assert [a.item() for a in ADVERSARIAL_LOSSES["lsgan"].accuracies(real / 4, fake / 4)] == [0.25, 0.75]


def test_penalties_of_two_sets_come_from_one_backward_pass() -> None:
    weights = torch.randn(1, 3, 4, 4)
    real, fake = (torch.randn(5, 3, 4, 4, requires_grad=True) for _ in range(2))
    logits = torch.cat([linear(weights)(real), linear(2 * weights)(fake)])
    r1, r2 = gradient_penalties(logits, real, fake)
    torch.testing.assert_close(r1, weights.square().sum())
    torch.testing.assert_close(r2, 4 * weights.square().sum())


@pytest.mark.parametrize(("norm", "penalty"), [(1.0, 0.0), (3.0, 4.0), (0.0, 1.0)])
def test_the_wasserstein_penalty_wants_gradients_of_norm_one(norm, penalty) -> None:
    weights = torch.zeros(1, 1, 2, 2)
    weights[0, 0, 0, 0] = norm
    weights.requires_grad_(True)
    value = wasserstein_gradient_penalty(
        linear(weights), torch.randn(6, 1, 2, 2), torch.randn(6, 1, 2, 2), random_for(0)
    )
    assert value.item() == pytest.approx(penalty, abs=1e-4)
    value.backward()
    assert weights.grad is not None
    assert weights.grad.isfinite().all()


def test_the_wasserstein_penalty_is_taken_between_real_and_fake_images() -> None:
    seen = []

    def discriminator(images):
        seen.append(images.detach())
        return images.square().sum(dim=(1, 2, 3))

    wasserstein_gradient_penalty(discriminator, torch.ones(200, 1, 1, 1), torch.zeros(200, 1, 1, 1), random_for(1))
    assert 0 <= seen[0].min() < 0.1
    assert 0.9 < seen[0].max() <= 1
