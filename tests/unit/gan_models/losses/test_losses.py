"""Losses against values worked out by hand."""

import math

import pytest
import torch

from gan_models.losses.adversarial import ADVERSARIAL_LOSSES
from gan_models.losses.feature_matching import feature_matching_loss
from gan_models.losses.penalties import r1_penalty
from gan_models.losses.reconstruction import negative_psnr


@pytest.mark.parametrize(
    ("name", "real", "fake", "generator"),
    [
        ("non_saturating", math.log(1 + math.exp(-2)), math.log(1 + math.exp(2)), math.log(1 + math.exp(-2))),
        ("lsgan", 1.0, 4.0, 1.0),
        ("hinge", 0.0, 3.0, -2.0),
    ],
)
def test_adversarial_losses_at_a_logit_of_two(name, real, fake, generator) -> None:
    loss, logit = ADVERSARIAL_LOSSES[name], torch.tensor([2.0])
    assert loss.real(logit).item() == pytest.approx(real, abs=1e-6)
    assert loss.fake(logit).item() == pytest.approx(fake, abs=1e-6)
    assert loss.generator(logit).item() == pytest.approx(generator, abs=1e-6)


@pytest.mark.parametrize("loss", ADVERSARIAL_LOSSES.values(), ids=ADVERSARIAL_LOSSES.keys())
def test_the_discriminator_is_pulled_apart_and_the_generator_towards_real(loss) -> None:
    logit = torch.tensor([0.5], requires_grad=True)
    gradients = [torch.autograd.grad(f(logit).sum(), logit)[0].item() for f in (loss.real, loss.fake, loss.generator)]
    assert gradients[0] < 0 < gradients[1]
    assert gradients[2] < 0


def test_the_r1_penalty_of_a_linear_discriminator_is_its_squared_norm() -> None:
    weights, images = torch.randn(1, 3, 4, 4), torch.randn(5, 3, 4, 4, requires_grad=True)
    logits = (weights * images).sum(dim=(1, 2, 3))
    torch.testing.assert_close(r1_penalty(logits, images), weights.square().sum())


def test_negative_psnr_counts_the_region_alone() -> None:
    targets, region = torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4)
    region[:, :, :2] = 1
    images = torch.full((2, 3, 4, 4), 9.0)
    images[0, :, :2], images[1, :, :2] = 0.2, 0.0
    losses = negative_psnr(images, targets, region)
    assert losses[0].item() == pytest.approx(-20, abs=0.05)
    assert losses[1].item() == pytest.approx(-46, abs=0.1)


def test_feature_matching_averages_layers_and_sends_no_gradient_to_targets() -> None:
    features = [torch.zeros(1, 1, 2, 2, requires_grad=True), torch.zeros(1, 2, 1, 1, requires_grad=True)]
    targets = [torch.full((1, 1, 2, 2), 2.0, requires_grad=True), torch.full((1, 2, 1, 1), -4.0)]
    loss = feature_matching_loss(features, targets)
    assert loss.item() == 3.0
    loss.backward()
    assert features[0].grad is not None
    assert targets[0].grad is None
