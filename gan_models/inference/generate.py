"""Drawing images with a bundle that generates: samples, walks between them, and copies where it can encode."""

import torch
from torch import Tensor

from gan_models.bundles.bundle import Bundle
from gan_models.images.pixels import require_uint8, to_float, to_uint8
from gan_models.images.randomness import generator_for
from gan_models.networks.vae import Vae


@torch.inference_mode()
def generate(
    bundle: Bundle,
    labels: Tensor | None,
    *,
    num_images: int,
    seed: int,
    first: int = 0,
    truncation: float = 1.0,
    batch_size: int = 64,
) -> Tensor:
    """Draw images. Each depends on (seed, its index, its label), whatever `num_images` and `batch_size` are.

    Args:
        labels: int64 [num_images]; None takes each label in turn.
        num_images: how many.
        seed: of the latents.
        first: index of the first image, so that many can be drawn in parts.
        truncation: what latents are multiplied with: below 1, images are nearer to the typical one, better on average
            and less varied. It scales as the truncation trick of StyleGAN does (Karras et al. 2019,
            https://arxiv.org/abs/1812.04948, appendix B; the mean of these latents is 0); it does not draw again what
            lies beyond a threshold, as that of BigGAN does, so that an image keeps its identity from 1 down to 0.
        batch_size: images at a time.

    Returns:
        uint8 [num_images, C, S, S] on the CPU.

    Raises:
        ValueError: this model does not generate, labels are out of range or of another number, or the truncation is
            negative.
    """
    _refuse_other_tasks(bundle)
    if truncation < 0:
        raise ValueError(f"truncation is {truncation}; 0 draws the typical image, 1 draws as in training")
    labels = _labels(bundle, labels, num_images)
    images = []
    for start in range(0, num_images, batch_size):
        indices = range(start, min(start + batch_size, num_images))
        latents = torch.stack([_latent(bundle, seed, "latent", first + i) for i in indices]) * truncation
        own = None if labels is None else labels[start : start + batch_size]
        images.append(_draw(bundle, latents, own))
    return torch.cat(images)


@torch.inference_mode()
def latent_walk(
    bundle: Bundle,
    label: int | None = None,
    *,
    num_frames: int,
    seed: int,
    num_stops: int = 4,
    truncation: float = 1.0,
    batch_size: int = 64,
) -> Tensor:
    """Draw frames of a walk through `num_stops` random latents and back to the first, to be played in a loop.

    Between stops, latents go along the sphere, not through its middle, where no latent of training lies (White 2016,
    https://arxiv.org/abs/1609.04468).

    Args:
        label: of all the frames; None is label 0, or none where the model takes none.
        num_frames: at equal distances.
        seed: of the stops.
        num_stops: 2 or more.
        truncation: as in `generate`.
        batch_size: frames at a time.

    Returns:
        uint8 [num_frames, C, S, S] on the CPU.

    Raises:
        ValueError: this model does not generate, the label is out of range, or there are too few stops or frames.
    """
    _refuse_other_tasks(bundle)
    if num_stops < 2 or num_frames < 1:
        raise ValueError(f"a walk takes 2 stops and 1 frame or more, not {num_stops} and {num_frames}")
    labels = _labels(bundle, None if label is None else torch.full((num_frames,), label), num_frames)
    if label is None and labels is not None:
        labels = torch.zeros_like(labels)
    stops = torch.stack([_latent(bundle, seed, "stop", stop) for stop in range(num_stops)])
    places = torch.arange(num_frames) * num_stops / num_frames
    before = places.long()
    latents = slerp(stops[before], stops[(before + 1) % num_stops], places - before) * truncation
    frames = []
    for start in range(0, num_frames, batch_size):
        own = None if labels is None else labels[start : start + batch_size]
        frames.append(_draw(bundle, latents[start : start + batch_size], own))
    return torch.cat(frames)


def slerp(starts: Tensor, ends: Tensor, shares: Tensor) -> Tensor:
    """Interpolate vectors Float [N, D] on the sphere, each [n] a share, shares Float [N], of the way to its end.

    Shoemake 1985, "Animating rotation with quaternion curves"; White 2016, https://arxiv.org/abs/1609.04468.
    """
    cosines = torch.nn.functional.cosine_similarity(starts, ends, dim=1).clamp(-1, 1)
    angles = cosines.acos().clamp(min=1e-4)  # At 0 the weights are 0 / 0, and near it those of a line.
    first, second = ((angles * share).sin() / angles.sin() for share in (1 - shares, shares))
    return first[:, None] * starts + second[:, None] * ends


@torch.inference_mode()
def reconstruct(bundle: Bundle, images: Tensor, labels: Tensor | None, batch_size: int = 64) -> Tensor:
    """Encode images, and decode the means of their latents.

    Args:
        images: uint8 [N, C, S, S] as in `image`.
        labels: of the images, int64 [N]; None where the model takes none.
        batch_size: images at a time.

    Returns:
        uint8 [N, C, S, S] on the CPU.

    Raises:
        ValueError: this model cannot encode, the images are not uint8, or the labels are missing or out of range.
    """
    require_uint8(images)
    network = bundle.network
    if not isinstance(network, Vae):
        raise ValueError(f"a {bundle.recipe.name} model draws images and cannot encode any; a vae model can")
    if network.num_labels and labels is None:
        raise ValueError("this model was trained with labels, and needs those of the images")
    labels = _labels(bundle, labels if network.num_labels else None, len(images))
    copies = []
    for start in range(0, len(images), batch_size):
        own = None if labels is None else labels[start : start + batch_size].to(bundle.device)
        mean, _ = network.encode(to_float(images[start : start + batch_size]).to(bundle.device), own)
        copies.append(to_uint8(network(mean, own)).cpu())
    return torch.cat(copies)


def _refuse_other_tasks(bundle: Bundle) -> None:
    if bundle.task != "generate":
        raise ValueError(f"a {bundle.recipe.name} model {bundle.task}s images, it does not generate any")


def _latent(bundle: Bundle, seed: int, purpose: str, index: int) -> Tensor:
    latent_dim: int = bundle.recipe.latent_dim  # type: ignore[union-attr]
    return torch.randn(latent_dim, generator=generator_for(seed, purpose, index))


def _draw(bundle: Bundle, latents: Tensor, labels: Tensor | None) -> Tensor:
    own = None if labels is None else labels.to(bundle.device)
    return to_uint8(bundle.network(latents.to(bundle.device), own)).cpu()


def _labels(bundle: Bundle, labels: Tensor | None, num_images: int) -> Tensor | None:
    num_labels = len(bundle.label_names) if bundle.recipe.uses_labels else 0
    if not num_labels:
        if labels is not None:
            raise ValueError("this model was trained without labels and takes none")
        return None
    if labels is None:
        return torch.arange(num_images) % num_labels
    if labels.shape != (num_images,) or labels.min() < 0 or labels.max() >= num_labels:
        raise ValueError(f"labels should be {num_images} numbers from 0 to {num_labels - 1}")
    return labels
