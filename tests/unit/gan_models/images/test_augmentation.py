"""What discriminators see images through changes them as said, and lets gradients through twice."""

import pytest
import torch

from gan_models.images.augmentation import diff_augment, random_augment
from gan_models.images.randomness import Random, Share, generator_for, random_for


def photos(num=40, channels=3, size=16):
    return torch.rand(num, channels, size, size, generator=generator_for("photos")) * 2 - 1


def test_at_probability_zero_images_come_back_as_they_were() -> None:
    torch.testing.assert_close(random_augment(photos(), 0.0, random_for(0)), photos(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_at_probability_one_every_image_is_changed(channels) -> None:
    images = photos(channels=channels)
    assert ((random_augment(images, 1.0, random_for(0)) - images).abs().amax(dim=(1, 2, 3)) > 0.1).all()


def test_each_image_tosses_a_coin_of_its_own_for_each_transformation() -> None:
    changed = (random_augment(photos(400), 0.05, random_for(0)) - photos(400)).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert changed.float().mean() == pytest.approx(1 - 0.95**7, abs=0.08)


def test_the_probability_may_be_a_tensor_on_the_device() -> None:
    as_tensor = random_augment(photos(), torch.tensor(0.5), random_for(0))
    assert torch.equal(as_tensor, random_augment(photos(), 0.5, random_for(0)))


@pytest.mark.parametrize("augment", [diff_augment, lambda images, random: random_augment(images, 1.0, random)])
def test_a_gradient_penalty_can_be_taken_through_it(augment) -> None:
    images = photos(4).double().requires_grad_(True)
    (gradients,) = torch.autograd.grad(augment(images, random_for(1)).pow(3).sum(), images, create_graph=True)
    gradients.square().sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert (images.grad != 0).any()


def test_what_an_image_gets_does_not_depend_on_who_has_the_rest_of_the_batch() -> None:
    whole = random_augment(photos(), 0.6, random_for(2))
    halves = [
        random_augment(part, 0.6, Random(generator_for(2), Share(index, 2)))
        for index, part in enumerate(photos().tensor_split(2))
    ]
    torch.testing.assert_close(torch.cat(halves), whole)


def test_gray_stays_gray_when_colors_turn() -> None:
    gray = photos(channels=1).expand(-1, 3, -1, -1)
    augmented = random_augment(gray, 1.0, random_for(3))
    torch.testing.assert_close(augmented.amax(dim=1), augmented.amin(dim=1), atol=1e-5, rtol=0)


def test_images_stay_about_where_they_were() -> None:
    """Moved by an eighth of their side at most, and scaled little: a dot in the middle stays near it."""
    dots = torch.zeros(300, 1, 32, 32)
    dots[:, :, 14:18, 14:18] = 1
    augmented = random_augment(dots, 1.0, random_for(4)).amax(dim=1)
    seen = augmented - augmented.amin(dim=(1, 2), keepdim=True)
    rows = (seen.sum(dim=2) * torch.arange(32)).sum(dim=1) / seen.sum(dim=(1, 2)).clamp(min=1e-6)
    whole = seen.amax(dim=(1, 2)) > 0.5
    assert whole.sum() > 50
    assert ((rows[whole] - 15.5).abs() < 8).float().mean() > 0.9
