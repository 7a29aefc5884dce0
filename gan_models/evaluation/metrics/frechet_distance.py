"""The Fréchet distance between two sets of features, and how much each image pulls on it.

|m1 - m2|² + tr S1 + tr S2 - 2 tr (S1 S2)^½ for Gaussians of the sets' means and covariances (Heusel et al. 2017).
"""

from functools import cached_property

import numpy as np

from gan_models.evaluation.errors import EvaluationError, InsufficientDataError, NonFiniteError
from gan_models.evaluation.intervals import Array, Estimate


class RealFeatures:
    """The real side of a distance, its parts computed once. `features`: float64 [M, d]."""

    def __init__(self, features: Array) -> None:
        check_features(features, "real images")
        self.num, self.dimension = features.shape
        self.mean: Array = features.mean(axis=0)
        self._scaled: Array = (features - self.mean) / np.sqrt(self.num - 1)

    @cached_property
    def trace(self) -> float:
        """Trace of the covariance."""
        return float(np.square(self._scaled).sum())

    @cached_property
    def factor(self) -> Array:
        """F of as few rows as will do, float64 [min(M, d), d], with FᵀF the covariance."""
        if self.num <= self.dimension:
            return self._scaled
        values, vectors = np.linalg.eigh(self._scaled.T @ self._scaled)
        root: Array = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
        return root


def frechet_distance(features: Array, real: RealFeatures) -> Estimate:
    """The distance from `features`, float64 [N, d], to the real side; zero or more.

    With A the centred features over √(N-1), tr (S1 S2)^½ is the nuclear norm of K = A Fᵀ = U Σ Vᵀ, so that nothing is
    inverted and N or M below d is no special case. The influence of x, with T the optimal transport map between the
    Gaussians, is 2 (m1 - m2)ᵀ(x - m1) + (x - m1)ᵀ(I - T)(x - m1) less its mean; in K it needs no T, since
    A T Aᵀ = U Σ Uᵀ. The real images are held fixed.

    Raises:
        InsufficientDataError: fewer than two images.
        NonFiniteError: features are not finite.
        EvaluationError: the two sides have different dimensions.
    """
    check_features(features, "images")
    num, dimension = features.shape
    if dimension != real.dimension:
        raise EvaluationError(f"features of {dimension} and of {real.dimension} dimensions cannot be compared")
    mean = features.mean(axis=0)
    centred = features - mean
    shift = mean - real.mean
    squares = np.square(centred).sum(axis=1)
    root_trace, transported = _transport(centred / np.sqrt(num - 1), real.factor)
    value = float(shift @ shift + squares.sum() / (num - 1) + real.trace - 2 * root_trace)
    influence = 2 * centred @ shift + squares - (num - 1) * transported
    return Estimate(max(value, 0.0), influence - influence.mean())


def _transport(scaled: Array, factor: Array) -> tuple[float, Array]:
    """The trace of (S1 S2)^½ and the diagonal of A T Aᵀ, float64 [N]."""
    product = scaled @ factor.T
    if len(product) <= 2 * product.shape[1]:
        left, singular, _ = np.linalg.svd(product, full_matrices=False)
        return float(singular.sum()), np.square(left) @ singular
    values, vectors = np.linalg.eigh(product.T @ product)
    singular = np.sqrt(values.clip(min=0))
    projected = np.square(product @ vectors)
    kept = singular > singular.max(initial=0.0) * 1e-12
    return float(singular.sum()), projected[:, kept] @ (1 / singular[kept])


def check_features(features: Array, what: str) -> None:
    """Refuse features that linear algebra cannot take.

    Raises:
        InsufficientDataError: fewer than two rows.
        NonFiniteError: rows with NaN or infinity.
    """
    if len(features) < 2:
        raise InsufficientDataError(what, len(features), 2)
    bad = int((~np.isfinite(features)).any(axis=1).sum())
    if bad:
        raise NonFiniteError(f"the features of {bad} of {len(features)} {what} are not finite; nothing was measured")
