"""Shapes, ranges and what each network must never do."""

import pytest
import torch

from gan_models.evaluation.tasks.classical_baselines import fill_by_diffusion
from gan_models.images.pixels import to_float, to_uint8
from gan_models.networks.dcgan_discriminator import DcganDiscriminator
from gan_models.networks.dcgan_generator import DcganGenerator
from gan_models.networks.patch_discriminator import PatchDiscriminator
from gan_models.networks.unet import UNet, fill_smoothly


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (32, 1), (64, 3)])
@pytest.mark.parametrize("num_labels", [0, 3])
def test_dcgan_draws_images_of_the_size_and_judges_each_with_one_logit(size, channels, num_labels) -> None:
    labels = torch.tensor([0, 2]) if num_labels else None
    generator = DcganGenerator(size, channels, width=4, latent_dim=6, num_labels=num_labels)
    images = generator(torch.randn(2, 6), labels)
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    for norm in ("none", "spectral", "batch"):
        discriminator = DcganDiscriminator(size, channels, 4, num_labels, norm)
        assert discriminator(images, labels).shape == (2,)


@pytest.mark.parametrize("norm", ["none", "spectral"])
def test_without_batch_norm_a_logit_does_not_depend_on_the_rest_of_the_batch(norm) -> None:
    discriminator = DcganDiscriminator(16, 1, 4, 2, norm).eval()
    images, labels = torch.randn(4, 1, 16, 16), torch.tensor([0, 1, 0, 1])
    torch.testing.assert_close(discriminator(images, labels)[:2], discriminator(images[:2], labels[:2]))


def test_the_label_changes_what_the_discriminator_says() -> None:
    discriminator = DcganDiscriminator(16, 1, 4, 2, "none")
    images = torch.randn(1, 1, 16, 16)
    assert discriminator(images, torch.tensor([0])) != discriminator(images, torch.tensor([1]))


def test_the_patch_discriminator_has_a_logit_per_patch_and_features_per_stage() -> None:
    logits, features = PatchDiscriminator(3, width=4)(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, 1, 4, 4)
    assert [feature.shape[1:] for feature in features] == [(4, 16, 16), (8, 8, 8), (16, 4, 4)]


def test_an_untrained_unet_returns_the_image_it_was_given() -> None:
    network, images = UNet(3, 4, (1, 1, 1)), torch.rand(2, 3, 16, 24)
    torch.testing.assert_close(network(images, torch.zeros(2, 1, 16, 24)), images)


def test_a_unet_leaves_known_pixels_alone_and_changes_the_hole() -> None:
    network = UNet(3, 4, (1, 1))
    torch.nn.init.normal_(network.last.weight)
    images, mask = torch.rand(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    mask[..., 4:9, 4:9] = 1
    restored, is_hole = network(images * (1 - mask), mask), mask.expand(1, 3, 16, 16) > 0
    torch.testing.assert_close(restored[~is_hole], images[~is_hole])
    assert (restored[is_hole] - images[is_hole]).abs().min() > 0


def test_what_a_unet_adds_shrinks_with_the_contrast_of_the_image() -> None:
    network, images = UNet(3, 4, (1, 1)), torch.rand(1, 3, 16, 16)
    torch.nn.init.normal_(network.last.weight)
    empty = torch.zeros(1, 1, 16, 16)
    strong = (network(images, empty) - images).std()
    flat = (network(0.01 * images, empty) - 0.01 * images).std()
    assert flat < 0.05 * strong


def test_what_is_under_the_mask_does_not_matter() -> None:
    images, mask = torch.rand(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    mask[..., 2:12, 3:9] = 1
    torch.testing.assert_close(fill_smoothly(images, mask), fill_smoothly(images + 5 * mask, mask))


def test_holes_are_filled_as_diffusion_does() -> None:
    images = torch.randint(256, (2, 3, 24, 20), generator=torch.Generator().manual_seed(0))
    holes = torch.zeros(2, 1, 24, 20, dtype=torch.bool)
    holes[0, :, 5:20, 3:12], holes[1, :, :, 4:9] = True, True
    expected = torch.from_numpy(fill_by_diffusion(images.to(torch.uint8).numpy(), holes.numpy()))
    filled = to_uint8(fill_smoothly(to_float(images) * ~holes, holes.float()))
    assert (filled.int() - expected.int()).abs().max() <= 1  # one of 256 levels: where they round apart


def test_a_hole_in_a_flat_image_is_filled_with_its_color() -> None:
    images, mask = torch.full((1, 3, 13, 18), 0.25), torch.zeros(1, 1, 13, 18)
    mask[..., 3:11, :9] = 1
    torch.testing.assert_close(fill_smoothly(images * (1 - mask), mask), images)


def test_an_image_of_which_nothing_is_known_stays_finite() -> None:
    assert fill_smoothly(torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)).isfinite().all()
