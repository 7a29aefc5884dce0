"""What an evaluator of a task is."""

from pathlib import Path
from typing import NamedTuple, Protocol

from gan_models.bundles.bundle import Bundle
from gan_models.config import EvaluateConfig
from gan_models.evaluation.collector import Measurements, Progress
from gan_models.evaluation.features.cache import FeatureCache
from gan_models.evaluation.features.extractor import Extractor
from gan_models.evaluation.figures.pictures import NamedPicture

Evaluated = tuple[Measurements, list[NamedPicture]]


class Assignment(NamedTuple):
    """What an evaluator is given.

    bundle: the model
    data: the folder of the dataset on whose evaluation split it is measured
    config: how
    extractor, cache: the network of the distances, and what is known of real images already
    progress: called with each step that begins
    """

    bundle: Bundle
    data: Path
    config: EvaluateConfig
    extractor: Extractor
    cache: FeatureCache
    progress: Progress


class Evaluator(Protocol):
    """How models of one task are judged; a module with these two functions is one."""

    def steps(self, bundle: Bundle, config: EvaluateConfig) -> tuple[str, ...]:
        """Return what an evaluation does, in its order, for whoever watches."""

    def evaluate(self, given: Assignment) -> Evaluated:
        """Measure a bundle.

        Raises:
            InsufficientDataError, NonFiniteError, EvaluationError, DataError: each says what to do.
        """
