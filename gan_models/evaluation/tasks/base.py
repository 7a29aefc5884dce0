"""What an evaluator of a task is."""

from pathlib import Path
from typing import Protocol

from gan_models.bundles.bundle import Bundle
from gan_models.config import EvaluateConfig
from gan_models.evaluation.collector import Measurements, Progress
from gan_models.evaluation.features.cache import FeatureCache
from gan_models.evaluation.features.extractor import Extractor
from gan_models.evaluation.figures.pictures import NamedPicture


class Evaluator(Protocol):
    """How models of one task are judged; a module with these two functions is one."""

    def steps(self, bundle: Bundle, config: EvaluateConfig) -> tuple[str, ...]:
        """Return what an evaluation does, in its order, for whoever watches."""

    def evaluate(
        self,
        bundle: Bundle,
        data: Path,
        config: EvaluateConfig,
        extractor: Extractor,
        cache: FeatureCache,
        progress: Progress,
    ) -> tuple[Measurements, list[NamedPicture]]:
        """Measure a bundle on the evaluation split of the dataset in `data`.

        Raises:
            InsufficientDataError, NonFiniteError, EvaluationError, DataError: each says what to do.
        """
