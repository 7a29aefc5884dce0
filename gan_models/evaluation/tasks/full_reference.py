"""Images compared one by one: in pixels, in luma, at several scales, and as networks that recognize things see them."""

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan_models.evaluation.collector import Measurements
from gan_models.evaluation.errors import EvaluationError
from gan_models.evaluation.metrics.feature_distance import feature_distances
from gan_models.evaluation.metrics.lpips import BACKBONE, Lpips, load_lpips, lpips
from gan_models.evaluation.metrics.lpips import MIN_SIDE as MIN_SIDE_LPIPS
from gan_models.evaluation.metrics.luma import luma
from gan_models.evaluation.metrics.ms_ssim import MIN_SIDE, ms_ssim
from gan_models.evaluation.metrics.psnr import psnr
from gan_models.evaluation.metrics.ssim import WINDOW, ssim
from gan_models.evaluation.stats.intervals import Array, mean_of
from gan_models.networks.efficientnet_lite0 import MissingWeightsError, load_efficientnet_lite0
from gan_models.networks.feature_network import FeatureNetwork, load_feature_network

NO_MS_SSIM = f"ms_ssim: absent, it takes images of {MIN_SIDE} pixels or more; with fewer scales it is another metric."
NO_LPIPS = f"lpips: absent, torchvision's {BACKBONE} is not in torch.hub's folder checkpoints."


class Perception(NamedTuple):
    """EfficientNet-Lite0's stages, and LPIPS where its weights are on this machine."""

    stages: FeatureNetwork
    lpips: Lpips | None


class BaselineImages(NamedTuple):
    """Images, uint8 [N, C, H, W], that the model's have to be nearer to the originals than, and what they are."""

    images: Tensor
    name: str


def load_perception(device: torch.device) -> Perception:
    """The networks, on a device.

    Raises:
        EvaluationError: weights are missing or not what they should be.
    """
    try:
        stages = load_feature_network("efficientnet_lite0").to(device)
        # A third faster on a CPU.
        return Perception(stages.to(memory_format=torch.channels_last), load_lpips(device))
    except MissingWeightsError as error:
        raise EvaluationError(str(error)) from None


@cache
def stage_facts() -> dict[str, Any]:
    """The protocol of metrics in EfficientNet-Lite0's stages at the images' own size, whatever the extractor is."""
    digest = load_efficientnet_lite0()[1]
    return {
        "extractor": "efficientnet_lite0",
        "extractor_sha256": digest,
        "resize": "none, four stages",
        "dtype": "float32",
    }


def add_luma(measured: Measurements, images: Tensor, originals: Tensor, baseline: BaselineImages, **facts: Any) -> None:  # noqa: ANN401
    """PSNR and SSIM of the luma of color images."""
    if images.shape[1] == 1:
        return  # it is all they have
    own, wanted, untouched = (luma(x) for x in (images, originals, baseline.images))
    after, before = (psnr(x.numpy(), wanted.numpy()) for x in (own, untouched))
    _add(measured, "psnr_y", after, before, baseline.name, facts)
    if min(images.shape[2:]) >= WINDOW:
        _add(measured, "ssim_y", ssim(own, wanted), ssim(untouched, wanted), baseline.name, facts)


def add_scales(
    measured: Measurements,
    images: Tensor,
    originals: Tensor,
    baseline: BaselineImages,
    **facts: Any,  # noqa: ANN401
) -> None:
    """MS-SSIM, of colors and of luma, where the images are large enough for it."""
    if min(images.shape[2:]) < MIN_SIDE:
        measured.notes.append(NO_MS_SSIM)
        return
    sets = [images, originals, baseline.images]
    views = {"ms_ssim": sets} if images.shape[1] == 1 else {"ms_ssim": sets, "ms_ssim_y": [luma(x) for x in sets]}
    for name, (own, wanted, untouched) in views.items():
        _add(measured, name, ms_ssim(own, wanted), ms_ssim(untouched, wanted), baseline.name, facts)


def add_feature_distances(
    measured: Measurements,
    images: Tensor,
    originals: Tensor,
    baseline: BaselineImages | None,
    networks: Perception,
    batch_size: int,
    **facts: Any,  # noqa: ANN401
) -> None:
    """The distance in EfficientNet-Lite0's stages and LPIPS."""
    sets = [images] if baseline is None else [images, baseline.images]
    name = None if baseline is None else baseline.name
    after, *before = feature_distances(sets, originals, networks.stages, batch_size)
    found = {**stage_facts(), **facts}
    _add(measured, "feature_distance_efficientnet_lite0", after, before[0] if before else None, name, found)
    if networks.lpips is None:
        measured.notes.append(NO_LPIPS)
    elif min(images.shape[2:]) >= MIN_SIDE_LPIPS:
        after, *before = (lpips(x, originals, networks.lpips, batch_size) for x in sets)
        backbone = {"extractor": "alexnet", "extractor_sha256": networks.lpips.sha256, "resize": "none"}
        found = {**backbone, "dtype": "float32", **facts}
        _add(measured, "lpips", after, before[0] if before else None, name, found)


def _add(
    measured: Measurements,
    metric: str,
    values: Array,
    before: Array | None,
    baseline_name: str | None,
    facts: dict[str, Any],
) -> None:
    baseline = None if before is None else float(before.mean())
    measured.add(metric, mean_of(values), baseline=baseline, baseline_name=baseline_name, **facts)
