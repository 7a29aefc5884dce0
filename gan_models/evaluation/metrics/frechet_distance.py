"""The Fréchet distance between two sets of features, and how much each image pulls on it.

|m1 - m2|² + tr S1 + tr S2 - 2 tr (S1 S2)^½ for Gaussians of the sets' means and covariances (Heusel et al. 2017,
https://arxiv.org/abs/1706.08500). With FᵀF = S2, the trace of the root is the sum of the roots of the eigenvalues of
F S1 Fᵀ, which is symmetric; F is computed once for a set of real images and can be kept.
"""

import math
from functools import cached_property

import numpy as np
from scipy.linalg.blas import dsyrk, dtrmm

from gan_models.evaluation.errors import EvaluationError, InsufficientDataError, NonFiniteError
from gan_models.evaluation.stats.intervals import Array, Estimate, halves, without_double_counting

SMALLEST_HALF = 10  # images, of which an influence can still be measured
FEW, MANY = 0.5, 4.0  # images per dimension, between which halves of them tell nothing about the whole


class Moments:
    """Mean and covariance of features that come in parts: sums in float64, in memory that does not grow with them."""

    def __init__(self, dimension: int) -> None:
        self.num = 0
        self._origin: Array = np.zeros(dimension)
        self._sum: Array = np.zeros(dimension)
        self._products: Array = np.zeros((dimension, dimension), order="F")

    def add(self, features: Array) -> None:
        """Count the features of more images, float64 [N, d].

        Raises:
            NonFiniteError: features are not finite.
        """
        refuse_non_finite(features, "images")
        if not self.num:
            self._origin = features.mean(axis=0)  # sums of squares far from the origin would lose digits
        shifted = np.ascontiguousarray(features - self._origin)
        self.num += len(shifted)
        self._sum += shifted.sum(axis=0)
        self._products = dsyrk(1.0, shifted.T, beta=1.0, c=self._products, overwrite_c=True, lower=1)

    @property
    def mean(self) -> Array:
        """Float64 [d]."""
        return self._origin + self._sum / self.num

    def covariance(self) -> Array:
        """Return the unbiased covariance, float64 [d, d].

        Raises:
            InsufficientDataError: of fewer than two images.
        """
        if self.num < 2:
            raise InsufficientDataError("images", self.num, 2)
        lower = np.tril(self._products)
        products = lower + np.tril(lower, -1).T
        covariance: Array = (products - np.outer(self._sum, self._sum) / self.num) / (self.num - 1)
        return covariance


class RealFeatures:
    """The real side of a distance, its parts computed once. `features`: float64 [M, d].

    Raises:
        InsufficientDataError, NonFiniteError: as for every distance between features.
    """

    def __init__(self, features: Array) -> None:
        check_features(features, "real images")
        self.num, self.dimension = features.shape
        self.mean: Array = features.mean(axis=0)
        self._scaled: Array | None = (features - self.mean) / np.sqrt(self.num - 1)

    @classmethod
    def from_parts(cls, num: int, mean: Array, factor: Array) -> "RealFeatures":
        """Return a side whose `factor`, as below, has been kept."""
        real = cls.__new__(cls)
        real.num, real.dimension, real.mean = num, len(mean), mean
        real._scaled, real.factor = None, factor
        return real

    @cached_property
    def trace(self) -> float:
        """Trace of the covariance."""
        return float(np.square(self.factor if self._scaled is None else self._scaled).sum())

    @cached_property
    def factor(self) -> Array:
        """F of as few rows as will do, float64 [min(M, d), d], with FᵀF the covariance; upper triangular if square."""
        assert self._scaled is not None  # else it was given
        if self.num < self.dimension:
            return self._scaled
        values, vectors = np.linalg.eigh(self._scaled.T @ self._scaled)
        root = np.sqrt(values.clip(min=0))[:, None] * vectors.T
        return np.asfortranarray(np.linalg.qr(root, mode="r"))

    def times_factor(self, rows: Array) -> Array:
        """Return rows times Fᵀ, float64 [N, min(M, d)], of float64 [N, d]."""
        if self.factor.shape[0] < self.dimension:
            return rows @ self.factor.T
        product: Array = dtrmm(1.0, self.factor, rows.T)
        return product.T


def frechet_value(features: Array | Moments, real: RealFeatures) -> float:
    """Return the distance from `features`, float64 [N, d] or what was summed of them, to the real side alone.

    Raises:
        InsufficientDataError, NonFiniteError, EvaluationError: see `frechet_distance`.
    """
    if isinstance(features, Moments):
        return _value_of(features, real)
    check_features(features, "images")
    num, dimension = features.shape
    if num > dimension:
        moments = Moments(dimension)
        moments.add(features)
        return _value_of(moments, real)
    _same_dimension(dimension, real)
    mean = features.mean(axis=0)
    centered = (features - mean) / math.sqrt(num - 1)
    product = real.times_factor(centered)
    gram = product @ product.T if num <= product.shape[1] else product.T @ product
    return _distance(mean, float(np.square(centered).sum()), _sum_of_roots(gram), real)


def _value_of(moments: Moments, real: RealFeatures) -> float:
    covariance, mean = moments.covariance(), moments.mean
    _same_dimension(len(mean), real)
    inner = real.times_factor(real.times_factor(covariance).T)
    return _distance(mean, float(np.trace(covariance)), _sum_of_roots(inner), real)


def _distance(mean: Array, trace: float, root_trace: float, real: RealFeatures) -> float:
    shift = mean - real.mean
    return max(float(shift @ shift + trace + real.trace - 2 * root_trace), 0.0)


def _sum_of_roots(matrix: Array) -> float:
    """Return the sum of the roots of the eigenvalues of a symmetric matrix that has none below zero."""
    return float(np.sqrt(np.linalg.eigvalsh(matrix).clip(min=0)).sum())


def frechet_distance(features: Array, real: RealFeatures) -> Estimate:
    """Return the distance from `features`, float64 [N, d], to the real side; zero or more.

    With A the centered features over √(N-1), tr (S1 S2)^½ is the nuclear norm of K = A Fᵀ = U Σ Vᵀ, so that nothing is
    inverted and N or M below d is no special case. The influence of x, with T the optimal transport map between the
    Gaussians, is 2 (m1 - m2)ᵀ(x - m1) + (x - m1)ᵀ(I - T)(x - m1) less its mean; in K it needs no T, since
    A T Aᵀ = U Σ Uᵀ. The real images are held fixed. See `without_double_counting` for the scale of the influences.

    Raises:
        InsufficientDataError: fewer than two images.
        NonFiniteError: features are not finite.
        EvaluationError: the two sides have different dimensions.
    """
    check_features(features, "images")
    num, dimension = features.shape
    _same_dimension(dimension, real)
    centered = features - features.mean(axis=0)
    shift = features.mean(axis=0) - real.mean
    product = real.times_factor(centered)
    root_trace, influence = _influence(centered, product, shift)
    value = float(shift @ shift + np.square(centered).sum() / (num - 1) + real.trace - 2 * root_trace)
    estimate = Estimate(max(value, 0.0), influence)
    of_halves = []
    for half in halves(estimate) if _halves_are_alike(num, len(real.factor)) else ():
        mean = centered[half].mean(axis=0)
        product_of_half = product[half] - product[half].mean(axis=0)
        of_halves.append(_influence(centered[half] - mean, product_of_half, shift + mean)[1])
    return without_double_counting(estimate, of_halves)


def _halves_are_alike(num: int, rank: int) -> bool:
    """Return whether halves are as large, for the dimensions, as the whole: `without_double_counting` holds then.

    Where the whole has full rank and the halves have not, it was measured to make intervals too narrow.
    """
    return num >= 2 * SMALLEST_HALF and not FEW * rank < num < MANY * rank


def _influence(centered: Array, product: Array, shift: Array) -> tuple[float, Array]:
    """Return the trace of (S1 S2)^½ and the influences, float64 [N], of centered features and their `times_factor`."""
    num = len(centered)
    product = product / math.sqrt(num - 1)
    if num <= product.shape[1]:
        values, left = np.linalg.eigh(product @ product.T)
        singular = np.sqrt(values.clip(min=0))
        transported = np.square(left) @ singular
    else:
        _, right = np.linalg.eigh(product.T @ product)
        projected = np.square(product @ right)
        singular = np.sqrt(projected.sum(axis=0))  # to more digits than the eigenvalues have
        transported = projected @ np.divide(1, singular, out=np.zeros_like(singular), where=singular > 0)
    influence = 2 * centered @ shift + np.square(centered).sum(axis=1) - (num - 1) * transported
    return float(singular.sum()), influence - influence.mean()


def _same_dimension(dimension: int, real: RealFeatures) -> None:
    if dimension != real.dimension:
        raise EvaluationError(f"features of {dimension} and of {real.dimension} dimensions cannot be compared")


def check_features(features: Array, what: str) -> None:
    """Refuse features that linear algebra cannot take.

    Raises:
        InsufficientDataError: fewer than two rows.
        NonFiniteError: rows with NaN or infinity.
    """
    if len(features) < 2:
        raise InsufficientDataError(what, len(features), 2)
    refuse_non_finite(features, what)


def refuse_non_finite(features: Array, what: str) -> None:
    """Stop before NaN or infinity reach linear algebra.

    Raises:
        NonFiniteError: with how many rows have some.
    """
    bad = int((~np.isfinite(features)).any(axis=1).sum())
    if bad:
        raise NonFiniteError(f"the features of {bad} of {len(features)} {what} are not finite; nothing was measured")
