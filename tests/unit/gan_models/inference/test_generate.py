"""Truncation, walks between images, and copies of images by a model that can encode."""

from pathlib import Path

import pytest
import torch

from gan_models.bundles.bundle import Bundle, load_bundle, save_bundle
from gan_models.inference.generate import generate, latent_walk, reconstruct, slerp
from gan_models.recipes import build_generator
from tests.support.training_runs import DCGAN, R3GAN, RESTORE, VAE, WGAN_GP, train_config

LABELS = ("dark", "light")


def bundle_of(directory: Path, section: dict[str, object], label_names: tuple[str, ...] = LABELS) -> Bundle:
    config = train_config(section)
    torch.manual_seed(0)
    network = build_generator(config.recipe, config.image, len(label_names)).eval()
    for parameter in network.parameters():  # untrained networks draw flat images
        parameter.data += 0.2 * torch.randn_like(parameter)
    description = {"num_steps": 1, "config_digest": "c", "data_digest": "d"}
    save_bundle(directory, network, recipe=config.recipe, image=config.image, label_names=label_names, **description)
    return load_bundle(directory)


@pytest.mark.parametrize("section", [DCGAN, WGAN_GP, R3GAN, VAE], ids=lambda section: section["name"])
def test_every_bundle_that_generates_draws_and_walks(tmp_path: Path, section) -> None:
    bundle = bundle_of(tmp_path / "bundle", section)
    for images in (generate(bundle, None, num_images=3, seed=0), latent_walk(bundle, 1, num_frames=3, seed=0)):
        assert images.shape == (3, 1, 16, 16)
        assert images.dtype == torch.uint8
        assert images.float().std() > 1


def test_truncation_brings_images_nearer_together_down_to_one_at_zero(tmp_path: Path) -> None:
    bundle, labels = bundle_of(tmp_path / "bundle", DCGAN), torch.zeros(30, dtype=torch.int64)
    spreads = [
        generate(bundle, labels, num_images=30, seed=0, truncation=truncation).float().std(dim=0).mean().item()
        for truncation in (1.0, 0.6, 0.2, 0.0)
    ]
    assert spreads[0] > spreads[1] > spreads[2] > spreads[3] == 0
    with pytest.raises(ValueError, match="truncation is -1"):
        generate(bundle, labels, num_images=30, seed=0, truncation=-1)


def test_a_walk_is_smooth_and_comes_back_to_where_it_began(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "bundle", DCGAN)
    frames = latent_walk(bundle, 0, num_frames=120, seed=0, num_stops=3).float()
    steps = (frames.roll(-1, 0) - frames).abs().mean(dim=(1, 2, 3))  # the last one is from the end to the beginning
    strangers = (frames.roll(-40, 0) - frames).abs().mean(dim=(1, 2, 3))[::40]  # from a stop to the next
    assert steps.max() < strangers.min() / 5
    assert steps.min() > 0
    assert torch.equal(latent_walk(bundle, None, num_frames=120, seed=0, num_stops=3).float(), frames)


def test_twice_the_frames_go_the_same_way(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "bundle", DCGAN)
    few = latent_walk(bundle, 1, num_frames=6, seed=0)
    many = latent_walk(bundle, 1, num_frames=12, seed=0, batch_size=5)
    assert (many[::2].int() - few.int()).abs().max() <= 1


def test_walks_that_go_nowhere_are_refused(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "bundle", DCGAN)
    with pytest.raises(ValueError, match="2 stops and 1 frame"):
        latent_walk(bundle, 0, num_frames=5, seed=0, num_stops=1)
    with pytest.raises(ValueError, match="numbers from 0 to 1"):
        latent_walk(bundle, 2, num_frames=5, seed=0)
    with pytest.raises(ValueError, match="it does not generate any"):
        latent_walk(bundle_of(tmp_path / "restores", RESTORE, ()), num_frames=5, seed=0)


def test_a_model_without_labels_walks_too(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "bundle", R3GAN, ())
    assert latent_walk(bundle, num_frames=4, seed=0).shape == (4, 1, 16, 16)
    with pytest.raises(ValueError, match="trained without labels"):
        latent_walk(bundle, 1, num_frames=4, seed=0)


def test_interpolated_vectors_keep_their_length_and_begin_and_end_where_they_should() -> None:
    ends = torch.nn.functional.normalize(torch.randn(2, 5, 50, generator=torch.Generator().manual_seed(0)), dim=2)
    first, second = ends
    for share, expected in ((0.0, first), (1.0, second)):
        torch.testing.assert_close(slerp(first, second, torch.full((5,), share)), expected)
    torch.testing.assert_close(slerp(first, second, torch.full((5,), 0.4)).norm(dim=1), torch.ones(5))
    torch.testing.assert_close(slerp(first, first, torch.full((5,), 0.3)), first)


def test_only_a_model_that_encodes_copies_images(tmp_path: Path) -> None:
    images, labels = torch.randint(256, (5, 1, 16, 16), dtype=torch.uint8), torch.arange(5) % 2
    vae = bundle_of(tmp_path / "vae", VAE)
    copies = reconstruct(vae, images, labels)
    assert copies.shape == images.shape
    assert (reconstruct(vae, images, labels, batch_size=2).int() - copies.int()).abs().max() <= 1
    with pytest.raises(ValueError, match="needs those of the images"):
        reconstruct(vae, images, None)
    with pytest.raises(ValueError, match="a dcgan model draws images and cannot encode any"):
        reconstruct(bundle_of(tmp_path / "dcgan", DCGAN), images, labels)
