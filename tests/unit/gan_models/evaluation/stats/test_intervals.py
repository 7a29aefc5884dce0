import math

import numpy as np
import pytest
from scipy.stats import t as students_t

from gan_models.evaluation.stats.intervals import (
    Estimate,
    difference_interval,
    halves,
    interval,
    mean_of,
    share_of,
    without_double_counting,
    without_interval,
)


def hits(num, of):
    return np.arange(of) < num


def difference_of_shares(a, b):
    return difference_interval(share_of(a * 1.0), share_of(b * 1.0), 0)


@pytest.mark.parametrize(
    ("num", "of", "expected"), [(10, 10, (0.7225, 1)), (0, 10, (0, 0.2775)), (5, 10, (0.2366, 0.7634))]
)
def test_a_share_has_wilsons_interval_and_is_not_certain_at_its_ends(num, of, expected):
    assert interval(share_of(hits(num, of) * 1.0), 0) == pytest.approx(expected, abs=1e-4)


def test_two_perfect_shares_tie_and_one_image_decides_nothing():
    all_right, one_wrong = hits(50, 50), hits(49, 50)
    low, high = difference_of_shares(all_right, all_right)
    assert low < 0 < high
    low, high = difference_of_shares(all_right, one_wrong)
    assert low < 0 < high


def test_shares_that_differ_in_many_images_do_not_tie():
    low, high = difference_of_shares(hits(50, 50), hits(40, 50))
    assert 0 < low < 0.2 < high <= 1
    low, high = difference_of_shares(hits(40, 50), hits(50, 50))
    assert low < -0.2 < high < 0


def test_pairs_of_equal_shares_are_ties_about_19_times_in_20():
    random = np.random.default_rng(0)
    for share in (0.5, 0.9, 0.99):
        intervals = [difference_of_shares(*(random.random((2, 60)) < share)) for _ in range(300)]
        assert 0.93 <= np.mean([low <= 0 <= high for low, high in intervals]) <= 1


@pytest.mark.parametrize("num", [10, 30, 200])
def test_a_mean_has_about_the_interval_of_student(num):
    values = np.random.default_rng(num).normal(5, 2, num)
    low, high = interval(mean_of(values), 0)
    width = 2 * students_t.ppf(0.975, num - 1) * values.std(ddof=1) / math.sqrt(num)
    assert high - low == pytest.approx(width, rel=0.06)


def test_a_value_without_an_interval_is_itself_and_its_differences_are_not_known():
    alone = without_interval(3.0, 20)
    assert interval(alone, 0) == (3.0, 3.0)
    assert all(map(math.isnan, difference_interval(alone, mean_of(np.arange(20.0)), 0)))


def test_halves_are_the_same_images_whatever_their_order():
    influence = np.random.default_rng(0).normal(size=40)
    order = np.random.default_rng(1).permutation(40)
    one, other = (halves(Estimate(0.0, values)) for values in (influence, influence[order]))
    for half, same in zip(one, other, strict=True):
        assert set(influence[half]) == set(influence[order][same])


def test_what_two_images_do_together_counts_once():
    """|mean|² at a mean of zero: all of its variance is of second order, and influences count it twice."""
    random = np.random.default_rng(0)

    def estimate(values):
        mean = values.mean(axis=0)
        return Estimate(float(mean @ mean), 2 * (values - mean) @ mean)

    plain, corrected, found = [], [], []
    for _ in range(1_000):
        values = random.normal(size=(100, 30))
        whole = estimate(values)
        once = without_double_counting(whole, [estimate(values[half]).influence for half in halves(whole)])
        plain.append(np.square(whole.influence).mean() / 100)
        corrected.append(np.square(once.influence).mean() / 100)
        found.append(whole.value)
    assert np.mean(plain) / np.var(found) == pytest.approx(2, rel=0.15)
    assert np.mean(corrected) / np.var(found) == pytest.approx(1.1, abs=0.15)  # it is never scaled below a half


def test_a_mean_is_not_scaled():
    estimate = mean_of(np.random.default_rng(0).normal(size=400))
    once = without_double_counting(estimate, [estimate.influence[half] for half in halves(estimate)])
    np.testing.assert_allclose(once.influence, estimate.influence, rtol=0.05)
