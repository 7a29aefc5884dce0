import numpy as np
import pytest
import scipy.linalg

from gan_models.evaluation.errors import EvaluationError, InsufficientDataError, NonFiniteError
from gan_models.evaluation.metrics.frechet_distance import Moments, RealFeatures, frechet_distance, frechet_value
from tests.support.golden import frechet_by_torchmetrics


def features(num, dimension, seed, shift=0.0):
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(dimension, dimension)) / np.sqrt(dimension)
    return random.normal(shift, 1, (num, dimension)) @ mixing


def by_matrix_square_root(a, b):
    """The textbook formula, with scipy's square root."""
    (ma, sa), (mb, sb) = ((x.mean(0), np.cov(x, rowvar=False)) for x in (a, b))
    root = scipy.linalg.sqrtm(sa @ sb)
    return float((ma - mb) @ (ma - mb) + np.trace(sa + sb) - 2 * np.trace(root).real)


@pytest.mark.parametrize(("num", "num_real"), [(200, 300), (60, 300), (200, 70)])
def test_it_is_what_scipy_says(num, num_real):
    a, b = features(num, 32, 1, shift=0.3), features(num_real, 32, 2)
    assert frechet_distance(a, RealFeatures(b)).value == pytest.approx(by_matrix_square_root(a, b), rel=1e-6)


def test_it_is_what_torchmetrics_says():
    a, b = features(500, 24, 1, shift=0.2), features(400, 24, 2)
    assert frechet_distance(a, RealFeatures(b)).value == pytest.approx(frechet_by_torchmetrics(a, b), rel=1e-6)


@pytest.mark.parametrize(("num", "num_real"), [(20, 30), (20, 90), (90, 20)])
def test_fewer_images_than_dimensions_give_the_same_formula(num, num_real):
    a, b = features(num, 48, 1), features(num_real, 48, 2)
    (ma, sa), (mb, sb) = ((x.mean(0), np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(sb)  # scipy refuses the root of a singular matrix, or loses digits
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    trace = np.sqrt(np.linalg.eigvalsh(root @ sa @ root).clip(0)).sum()
    expected = (ma - mb) @ (ma - mb) + np.trace(sa + sb) - 2 * trace
    assert frechet_distance(a, RealFeatures(b)).value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("num", [30, 500])
def test_identical_sets_are_at_distance_zero_and_never_below(num):
    a = features(num, 48, 1)
    assert 0 <= frechet_distance(a, RealFeatures(a)).value < 1e-6 * a.var(axis=0).sum()


@pytest.mark.parametrize(("num", "dimension", "correlation"), [(300, 16, 0.98), (60, 96, 0.85)])
def test_the_influence_of_an_image_is_what_leaving_it_out_changes(num, dimension, correlation):
    a, real = features(num, dimension, 1, shift=0.4), RealFeatures(features(400, dimension, 2))
    estimate = frechet_distance(a, real)
    without = [frechet_distance(np.delete(a, i, axis=0), real).value for i in range(num)]
    left_out = (num - 1) * (np.mean(without) - np.array(without))
    assert np.corrcoef(left_out, estimate.influence)[0, 1] > correlation
    assert abs(estimate.influence.sum()) < 1e-8 * np.abs(estimate.influence).sum()


def test_the_order_of_the_images_does_not_matter():
    a, real = features(80, 32, 1), RealFeatures(features(90, 32, 2))
    order = np.random.default_rng(0).permutation(80)
    one, other = frechet_distance(a, real), frechet_distance(a[order], real)
    assert other.value == pytest.approx(one.value, rel=1e-10)
    np.testing.assert_allclose(other.influence, one.influence[order], atol=1e-9)


def test_constant_output_has_a_finite_distance():
    estimate = frechet_distance(np.ones((50, 32)), RealFeatures(features(60, 32, 2)))
    assert np.isfinite(estimate.value)
    np.testing.assert_allclose(estimate.influence, 0, atol=1e-12)


def test_what_is_not_finite_is_counted_and_refused():
    bad = features(40, 8, 1)
    bad[[3, 7], 2] = np.nan, np.inf
    with pytest.raises(NonFiniteError, match="2 of 40 images"):
        frechet_distance(bad, RealFeatures(features(40, 8, 2)))
    with pytest.raises(NonFiniteError, match="2 of 40 real images"):
        RealFeatures(bad)


def test_one_image_is_insufficient_data():
    with pytest.raises(InsufficientDataError, match="insufficient data: 1 images"):
        frechet_distance(features(1, 8, 1), RealFeatures(features(40, 8, 2)))


def test_features_of_another_dimension_are_refused():
    with pytest.raises(EvaluationError, match="8 and of 9 dimensions"):
        frechet_distance(features(20, 8, 1), RealFeatures(features(20, 9, 2)))


@pytest.mark.parametrize(("num", "num_real"), [(200, 300), (60, 300), (200, 70), (20, 30), (33, 33)])
def test_the_value_alone_is_the_same_and_so_it_is_from_parts(num, num_real):
    a, real = features(num, 32, 1, shift=0.3), RealFeatures(features(num_real, 32, 2))
    whole = frechet_distance(a, real).value
    moments = Moments(32)
    for start in range(0, num, 7):
        moments.add(a[start : start + 7])
    assert frechet_value(a, real) == pytest.approx(whole, rel=1e-8)
    assert frechet_value(moments, real) == pytest.approx(whole, rel=1e-6 if num <= 32 else 1e-8)


def test_sums_keep_their_digits_far_from_the_origin():
    a = features(300, 8, 1) + 1e6
    moments = Moments(8)
    for part in np.split(a, 10):
        moments.add(part)
    np.testing.assert_allclose(moments.mean, a.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(moments.covariance(), np.cov(a, rowvar=False), atol=1e-9)


def test_sums_refuse_what_is_not_finite_or_too_little():
    moments = Moments(8)
    with pytest.raises(NonFiniteError, match="1 of 3 images"):
        moments.add(np.vstack([features(2, 8, 1), np.full((1, 8), np.nan)]))
    moments.add(features(1, 8, 1))
    with pytest.raises(InsufficientDataError):
        moments.covariance()


@pytest.mark.parametrize("num_real", [20, 90])
def test_a_real_side_from_its_parts_is_the_same(num_real):
    a, real = features(50, 32, 1, shift=0.3), RealFeatures(features(num_real, 32, 2))
    again = RealFeatures.from_parts(real.num, real.mean, real.factor)
    assert frechet_distance(a, again).value == pytest.approx(frechet_distance(a, real).value, rel=1e-10)
    assert frechet_value(a, again) == pytest.approx(frechet_value(a, real), rel=1e-10)


def test_a_few_distinct_outputs_have_the_textbook_distance():
    """A covariance of rank 4 among 300 images, as collapse makes them."""
    a = features(5, 24, 1)[np.arange(300) % 5]
    b = features(400, 24, 2)
    (ma, sa), (mb, sb) = ((x.mean(0), np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(sa)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    exact = np.sqrt(np.linalg.eigvalsh(root @ sb @ root)[-4:]).sum()
    expected = (ma - mb) @ (ma - mb) + np.trace(sa + sb) - 2 * exact
    assert frechet_distance(a, RealFeatures(b)).value == pytest.approx(expected, rel=1e-6)
    assert frechet_value(a, RealFeatures(b)) == pytest.approx(expected, rel=1e-6)
