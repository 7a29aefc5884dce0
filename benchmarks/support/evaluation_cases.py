"""What `benchmarks.evaluation` measures: for each case the same work by the reference and by us."""

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from benchmarks.support.crops import crops, noisy
from benchmarks.support.random_inception import write_random_inception
from gan_models.config import ExtractorConfig
from gan_models.evaluation.features.cache import FeatureCache
from gan_models.evaluation.features.extractor import Extractor, load_extractor
from gan_models.evaluation.metrics.frechet_distance import RealFeatures, frechet_distance, frechet_value
from gan_models.evaluation.metrics.kernel_distance import kernel_distance
from gan_models.evaluation.metrics.neighborhoods import neighborhoods
from gan_models.evaluation.metrics.precision_recall import precision, recall
from gan_models.evaluation.stats.intervals import Array, interval
from gan_models.evaluation.tasks.distances import RealSide

warnings.filterwarnings("ignore", message="Metric `KernelInceptionDistance` will save all")

BATCH = 64  # images a reference is given at a time, as a data loader would


@dataclass(frozen=True)
class Case:
    """Two ways to the same numbers. `tolerance`: how far they may differ, relative to the reference."""

    name: str
    reference: str
    theirs: Callable[[], Array]
    ours: Callable[[], Array]
    tolerance: float = 1e-6


class Passing(nn.Module):
    """Features that have been computed already, where torchmetrics wants a network."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.num_features = dimension

    def forward(self, features: Tensor) -> Tensor:
        """Return what was computed before."""
        return features


class Features(nn.Module):
    """An extractor's network, for torchmetrics."""

    def __init__(self, extractor: Extractor) -> None:
        super().__init__()
        self.network, self.num_features = extractor.network, extractor.dimension

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """Return the features of images."""
        features: Tensor = self.network(images)
        return features


def feature_cases(num: int, dimension: int) -> list[Case]:
    """Return the Fréchet distance from features to the number, against both libraries; they keep what they can."""
    random = np.random.default_rng(0)
    scales = 10 ** -np.linspace(0, 1.5, dimension)
    real, drawn = (
        (random.normal(shift, 1, (n, dimension)) * scales).astype(np.float32) for shift, n in ((0, 10_000), (0.1, num))
    )
    metric = FrechetInceptionDistance(feature=Passing(dimension), reset_real_features=False)
    metric.update(torch.from_numpy(real), real=True)
    statistics = fid_features_to_statistics(torch.from_numpy(real.astype(np.float64)))
    side = RealFeatures(real.astype(np.float64))
    _ = side.factor

    def torchmetrics() -> Array:
        metric.reset()
        for part in torch.from_numpy(drawn).split(BATCH):  # type: ignore[no-untyped-call]
            metric.update(part, real=False)
        return np.array([float(metric.compute())])

    def torch_fidelity() -> Array:
        own = fid_features_to_statistics(torch.from_numpy(drawn.astype(np.float64)))
        return np.array([fid_statistics_to_metric(own, statistics, False)["frechet_inception_distance"]])

    def ours() -> Array:
        return np.array([frechet_value(drawn.astype(np.float64), side)])

    name = f"Fréchet distance of {num:,} x {dimension:,} features"
    return [
        Case(name, "torchmetrics", torchmetrics, ours),
        Case(name, "torch-fidelity", torch_fidelity, ours),
    ]


def extraction_cases(num: int) -> list[Case]:
    """From 64-pixel images to features of the Inception network; its weights are random, both sides read one file."""
    images = torch.from_numpy(crops(num, 64, 0))
    with tempfile.TemporaryDirectory() as folder:
        path, digest = write_random_inception(Path(folder))
        network = FeatureExtractorInceptionV3("inception", ["2048"], str(path))
        extractor = load_extractor(ExtractorConfig(name="inception", weights=path, sha256=digest))

    @torch.inference_mode()
    def torch_fidelity() -> Array:
        parts = [network(part)[0] for part in images.split(BATCH)]  # type: ignore[no-untyped-call]
        return np.asarray(torch.cat(parts).double().numpy())

    def ours() -> Array:
        return extractor.features(images, BATCH)

    return [Case(f"Inception features of {num:,} images", "torch-fidelity", torch_fidelity, ours, tolerance=1e-4)]


def evaluation_cases(num: int, scratch: Path) -> list[Case]:
    """Return a generator's images to Fréchet and kernel distance, precision and recall, with the real side cached.

    torchmetrics does not share features between metrics unless it is asked to, and has no precision and recall: those
    are torch-fidelity's, of the features that its kernel distance keeps. Ours come with their intervals.
    """
    extractor = load_extractor(ExtractorConfig())
    real = torch.from_numpy(crops(num, 64, 1))
    drawn = torch.from_numpy(noisy(crops(num, 64, 2), 12, 0))
    cache = FeatureCache(scratch, extractor)
    real_features = torch.from_numpy(cache.features(real, BATCH)).float()

    def theirs(feature: nn.Module, prepare: Callable[[Tensor], Tensor]) -> Callable[[], Array]:
        frechet = FrechetInceptionDistance(feature=Passing(extractor.dimension), reset_real_features=False)
        kernel = KernelInceptionDistance(
            feature=Passing(extractor.dimension), reset_real_features=False, subset_size=min(1_000, num)
        )
        for metric in (frechet, kernel):
            metric.update(real_features, real=True)
            metric.inception = feature

        def evaluate() -> Array:
            frechet.reset()
            kernel.reset()
            for part in drawn.split(BATCH):  # type: ignore[no-untyped-call]
                prepared = prepare(part)
                frechet.update(prepared, real=False)
                kernel.update(prepared, real=False)
            return _numbers_of(frechet, kernel)

        return evaluate

    network = Features(extractor)

    def ours() -> Array:
        side = RealSide(cache.features(real, BATCH), cache.keep(real))
        features = extractor.features(drawn, BATCH)
        near = neighborhoods(features, side.neighborhoods)
        distances = [frechet_distance(features, side.frechet), kernel_distance(features, side.kernel)]
        shares = [precision(near), recall(near)]
        for estimate in distances + shares:
            interval(estimate, 0)
        return np.array([distances[0].value, *(share.value for share in shares)])

    name = f"Evaluation of {num:,} images in EfficientNet-Lite0"
    return [
        Case(name, "torchmetrics", theirs(network, lambda images: images), ours, tolerance=1e-4),
        Case(
            name, "torchmetrics, features shared", theirs(Passing(extractor.dimension), network), ours, tolerance=1e-4
        ),
    ]


def _numbers_of(frechet: Any, kernel: Any) -> Array:  # noqa: ANN401
    """Fréchet distance, precision and recall; the kernel distance is computed, and is random in its subsets."""
    distance = float(frechet.compute())
    kernel.compute()
    drawn, real = torch.cat(kernel.fake_features), torch.cat(kernel.real_features)
    near = prc_features_to_metric(drawn, real, verbose=False)
    return np.array([distance, near["precision"], near["recall"]])
