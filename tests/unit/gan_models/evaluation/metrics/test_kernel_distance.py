"""KID's algebra, against two libraries and against the sum over all pairs."""

import numpy as np
import pytest
import torch

from gan_models.evaluation.errors import EvaluationError, InsufficientDataError, NonFiniteError
from gan_models.evaluation.metrics import kernel_distance as module
from gan_models.evaluation.metrics.kernel_distance import RealKernel, kernel_distance
from tests.support.golden import FEATURES, random_features, relative


@pytest.mark.parametrize("kind", FEATURES)
def test_it_is_what_torchmetrics_and_torch_fidelity_say_of_all_images_at_once(kind, record_property) -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torchmetrics.image.kid import poly_mmd

    own, real = FEATURES[kind]()
    value = kernel_distance(own, RealKernel(real)).value
    tensors = torch.from_numpy(real), torch.from_numpy(own)
    theirs = (
        float(poly_mmd(*tensors)),
        kid_features_to_metric(tensors[1], tensors[0], kid_subsets=1, kid_subset_size=len(own), verbose=False)[
            "kernel_inception_distance_mean"
        ],
    )
    difference = relative([value, value], theirs)
    record_property("largest relative difference", difference)
    assert difference < 1e-6


def test_different_numbers_of_images_are_what_the_sum_over_pairs_says() -> None:
    own, real = random_features(60, 90)
    within = [(side @ side.T / 24 + 1) ** 3 for side in (own, real)]
    parts = [(kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1)) for kernel in within]
    across = ((own @ real.T / 24 + 1) ** 3).mean()
    assert kernel_distance(own, RealKernel(real)).value == pytest.approx(sum(parts) - 2 * across, rel=1e-9)


def test_it_does_not_depend_on_how_the_matrix_is_cut_nor_on_the_order(monkeypatch) -> None:
    own, real = random_features(61, 45)
    whole = kernel_distance(own, RealKernel(real))
    monkeypatch.setattr(module, "CHUNK", 7)
    order = np.random.default_rng(0).permutation(61)
    cut = kernel_distance(own[order], RealKernel(real))
    assert cut.value == pytest.approx(whole.value, rel=1e-10)
    np.testing.assert_allclose(cut.influence, whole.influence[order], atol=1e-12)


def test_the_influence_of_an_image_is_what_leaving_it_out_changes() -> None:
    own, real = random_features(80, 90)
    estimate = kernel_distance(own, RealKernel(real))
    without = np.array([kernel_distance(np.delete(own, i, axis=0), RealKernel(real)).value for i in range(80)])
    left_out = 79 * (without.mean() - without)
    assert np.corrcoef(left_out, estimate.influence)[0, 1] > 0.999
    assert 0.7 * np.std(left_out) < np.std(estimate.influence) <= np.std(left_out)  # see `without_double_counting`
    assert estimate.influence.sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_standard_error_is_that_of_repeated_draws(shift) -> None:
    random = np.random.default_rng(0)
    real = RealKernel(random.normal(size=(150, 16)))
    draws = [kernel_distance(random.normal(shift, 1, size=(100, 16)), real) for _ in range(150)]
    expected = np.std([draw.value for draw in draws])
    claimed = np.sqrt(np.mean([np.square(draw.influence).mean() / 100 for draw in draws]))
    assert claimed == pytest.approx(expected, rel=0.2)


def test_it_is_unbiased_where_there_are_fewer_images_than_dimensions() -> None:
    values = [
        kernel_distance(random.normal(size=(20, 48)), RealKernel(random.normal(size=(30, 48)))).value
        for random in map(np.random.default_rng, range(200))
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)
    assert min(values) < 0  # it may well be below zero


def test_equal_sets_are_at_zero_or_below_and_constant_images_have_a_finite_distance() -> None:
    _, real = random_features(40, 40)
    assert kernel_distance(real, RealKernel(real)).value < 0
    constant = kernel_distance(np.ones((10, 24)), RealKernel(real))
    assert np.isfinite(constant.value)
    np.testing.assert_allclose(constant.influence, 0, atol=1e-9)
    assert kernel_distance(np.ones((10, 24)), RealKernel(np.ones((9, 24)))).value == pytest.approx(0, abs=1e-12)


def test_one_image_is_insufficient_and_what_is_not_finite_or_of_another_dimension_is_refused() -> None:
    own, real = random_features(20, 20)
    with pytest.raises(InsufficientDataError, match="1 images"):
        kernel_distance(own[:1], RealKernel(real))
    own[[2, 5], 0] = np.nan, np.inf
    with pytest.raises(NonFiniteError, match="2 of 20"):
        kernel_distance(own, RealKernel(real))
    with pytest.raises(EvaluationError, match="23 and of 24 dimensions"):
        kernel_distance(real[:, 1:], RealKernel(real))
