"""Images compared one by one: in pixels, in luma, at several scales, and as networks that recognize things see them."""

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from gan_models.evaluation.collector import NO_FACTS, BaselineScore, Facts, FeatureSource, Measurements
from gan_models.evaluation.errors import EvaluationError
from gan_models.evaluation.metrics.feature_distance import feature_distances
from gan_models.evaluation.metrics.lpips import BACKBONE, Lpips, load_lpips, lpips
from gan_models.evaluation.metrics.luma import luma
from gan_models.evaluation.metrics.ms_ssim import ms_ssim
from gan_models.evaluation.metrics.psnr import psnr
from gan_models.evaluation.metrics.ssim import ssim
from gan_models.evaluation.stats.intervals import Array, mean_of
from gan_models.networks.efficientnet_lite0 import MissingWeightsError, load_efficientnet_lite0
from gan_models.networks.feature_network import FeatureNetwork, load_feature_network

NO_LPIPS = f"needs torchvision's {BACKBONE}, which is not in torch.hub's folder checkpoints"


class ReferenceNetworks(NamedTuple):
    """EfficientNet-Lite0's stages, and LPIPS where its weights are on this machine."""

    stages: FeatureNetwork
    lpips: Lpips | None


class BaselineImages(NamedTuple):
    """Images, uint8 [N, C, H, W], that the model's have to be nearer to the originals than, and what they are."""

    images: Tensor
    name: str


def load_reference_networks(device: torch.device) -> ReferenceNetworks:
    """Return the networks, on a device.

    Raises:
        EvaluationError: weights are missing or not what they should be.
    """
    try:
        stages = load_feature_network("efficientnet_lite0").to(device)
        # A third faster on a CPU.
        return ReferenceNetworks(stages.to(memory_format=torch.channels_last), load_lpips(device))
    except MissingWeightsError as error:
        raise EvaluationError(str(error)) from None


@cache
def in_stages() -> FeatureSource:
    """Return what metrics in EfficientNet-Lite0's stages, at the images' own size, are measured in."""
    return FeatureSource("efficientnet_lite0", load_efficientnet_lite0()[1], "none, four stages")


def add_luma(measured: Measurements, images: Tensor, originals: Tensor, baseline: BaselineImages, facts: Facts) -> None:
    """Add PSNR and SSIM of the luma of color images."""
    if images.shape[1] == 1:
        return  # it is all they have
    own, wanted, untouched = (luma(x) for x in (images, originals, baseline.images))
    after, before = (psnr(x.numpy(), wanted.numpy()) for x in (own, untouched))
    _add(measured, "psnr_y", after, before, baseline, facts)
    if measured.takes(min(images.shape[2:]), "ssim_y", part=facts.part):
        _add(measured, "ssim_y", ssim(own, wanted), ssim(untouched, wanted), baseline, facts)


def add_scales(
    measured: Measurements, images: Tensor, originals: Tensor, baseline: BaselineImages, facts: Facts
) -> None:
    """Add MS-SSIM, of colors and of luma, where the images are large enough for it."""
    sets = [images, originals, baseline.images]
    for name in ("ms_ssim",) if images.shape[1] == 1 else ("ms_ssim", "ms_ssim_y"):
        if measured.takes(min(images.shape[2:]), name, part=facts.part):
            own, wanted, untouched = sets if name == "ms_ssim" else [luma(x) for x in sets]
            _add(measured, name, ms_ssim(own, wanted), ms_ssim(untouched, wanted), baseline, facts)


def add_feature_distances(
    measured: Measurements,
    images: Tensor,
    originals: Tensor,
    baseline: BaselineImages | None,
    networks: ReferenceNetworks,
    batch_size: int,
    facts: Facts = NO_FACTS,
) -> None:
    """Add the distance in EfficientNet-Lite0's stages and LPIPS."""
    sets = [images] if baseline is None else [images, baseline.images]
    after, *before = feature_distances(sets, originals, networks.stages, batch_size)
    found = replace(facts, features=in_stages())
    _add(measured, "feature_distance_efficientnet_lite0", after, before[0] if before else None, baseline, found)
    if not measured.takes(min(images.shape[2:]), "lpips", part=facts.part):
        return
    if networks.lpips is None:
        measured.leave_out("lpips", NO_LPIPS, facts.part)
        return
    after, *before = (lpips(x, originals, networks.lpips, batch_size) for x in sets)
    found = replace(facts, features=FeatureSource("alexnet", networks.lpips.sha256, "none"))
    _add(measured, "lpips", after, before[0] if before else None, baseline, found)


def _add(
    measured: Measurements,
    metric: str,
    values: Array,
    before: Array | None,
    baseline: BaselineImages | None,
    facts: Facts,
) -> None:
    score = None if before is None or baseline is None else BaselineScore(float(before.mean()), baseline.name)
    measured.add(metric, mean_of(values), facts, baseline=score)
