"""How far images are from the styles of paintings, in the means and deviations of a recognizing network's features."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_models.evaluation.errors import InsufficientDataError, NonFiniteError
from gan_models.evaluation.stats.intervals import Array
from gan_models.images.pixels import require_uint8, to_float
from gan_models.losses.style import statistics_of
from gan_models.networks.feature_network import FeatureNetwork


class Styles:
    """Several styles, each the mean statistics of its paintings' windows.

    A distance is the squared Euclidean one of two vectors of statistics (Huang & Belongie 2017,
    https://arxiv.org/abs/1703.06868, eq. 13), divided stage by stage by the variance of the windows of all paintings
    and averaged over stages: 1 is as far as windows of the paintings are from the mean of all.

    Args:
        statistics: of windows of paintings, a float64 [M, d] for each stage.
        labels: int64 [M], the style of each.
        num_styles: each has to have a window.

    Raises:
        InsufficientDataError: a style has no window, or there is a single window.
    """

    def __init__(self, statistics: list[Array], labels: NDArray[np.int64], num_styles: int) -> None:
        counts = np.bincount(labels, minlength=num_styles)
        if not counts.all() or len(labels) < 2:
            raise InsufficientDataError("windows of a style's paintings", int(counts.min()), 2)
        self.means = [np.stack([stage[labels == k].mean(axis=0) for k in range(num_styles)]) for stage in statistics]
        self.scales = [float(stage.var(axis=0).sum()) for stage in statistics]

    def distances(self, statistics: list[Array]) -> Array:
        """Return those from each image to each style, float64 [N, num_styles]."""
        return self._to(statistics, self.means)

    def distances_to(self, statistics: list[Array], example: list[Array]) -> Array:
        """Return those from each image to the mean of an example's windows, float64 [N], in the same units."""
        column: Array = self._to(statistics, [stage.mean(axis=0, keepdims=True) for stage in example])[:, 0]
        return column

    def _to(self, statistics: list[Array], means: list[Array]) -> Array:
        stages = [
            np.square(stage[:, None] - mean[None]).sum(axis=2) / scale
            for stage, mean, scale in zip(statistics, means, self.scales, strict=True)
        ]
        distances: Array = np.mean(stages, axis=0)
        return distances


@torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
@torch.inference_mode()
def style_statistics(images: Tensor, network: FeatureNetwork, batch_size: int = 64) -> list[Array]:
    """Return each stage's means and deviations of features, float64 [N, 2 * channels], of uint8 [N, C, H, W].

    Raises:
        NonFiniteError: features are not finite.
        ValueError: the images are not uint8.
    """
    require_uint8(images)
    parts: list[list[Tensor]] = []
    for part in images.split(batch_size):  # type: ignore[no-untyped-call]
        features = network(to_float(part.to(network.mean.device)))
        parts.append([torch.cat(statistics_of(feature), dim=1).double().cpu() for feature in features])
    stages: list[Array] = [torch.cat(stage).numpy() for stage in zip(*parts, strict=True)]
    if not all(np.isfinite(stage).all() for stage in stages):
        raise NonFiniteError("the features of some images are not finite; nothing was measured")
    return stages
