"""Precision, recall, density and coverage, against a library and against loops over all pairs."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from gan_models.evaluation.errors import InsufficientDataError, NonFiniteError
from gan_models.evaluation.metrics import neighborhoods as module
from gan_models.evaluation.metrics.density_coverage import coverage, density
from gan_models.evaluation.metrics.neighborhoods import RealNeighborhoods, neighborhoods
from gan_models.evaluation.metrics.precision_recall import precision, recall
from tests.support.golden import FEATURES, absolute, random_features

METRICS = (precision, recall, density, coverage)


def measure(own, real):
    near = neighborhoods(own, RealNeighborhoods(real))
    return {metric.__name__: metric(near) for metric in METRICS}


def by_loops(own, real):
    """The papers' formulas, with closed balls."""

    def radii(points, k):
        return np.sort(cdist(points, points), axis=1)[:, k]  # the nearest of all is the point itself

    across = cdist(own, real)
    inside = across <= radii(real, 5)
    return {
        "precision": (across <= radii(real, 3)).any(axis=1).mean(),
        "recall": (across <= radii(own, 3)[:, None]).any(axis=0).mean(),
        "density": inside.sum() / (5 * len(own)),
        "coverage": inside.any(axis=0).mean(),
    }


@pytest.mark.parametrize("kind", FEATURES)
def test_precision_and_recall_are_what_torch_fidelity_says(kind, record_property) -> None:
    from torch_fidelity.metric_prc import prc_features_to_metric

    own, real = FEATURES[kind](300, 280)
    found = measure(own, real)
    theirs = prc_features_to_metric(torch.from_numpy(own), torch.from_numpy(real), prc_neighborhood=3, verbose=False)
    difference = max(absolute(found[name].value, theirs[name]) for name in ("precision", "recall"))
    record_property("largest difference", difference)
    assert difference < 1e-6  # torch-fidelity takes means in float32


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize(("num", "num_real"), [(80, 80), (40, 130), (130, 40)])
def test_all_four_are_what_loops_over_all_pairs_say(kind, num, num_real, record_property) -> None:
    own, real = FEATURES[kind](num, num_real)
    found, expected = measure(own, real), by_loops(own, real)
    difference = max(absolute(found[name].value, value) for name, value in expected.items())
    record_property("largest difference", difference)
    assert difference < 1e-12


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize("name", ["recall", "coverage"])
def test_the_influence_is_exactly_what_leaving_an_image_out_changes(kind, name) -> None:
    own, real = FEATURES[kind](45, 60)
    estimate = measure(own, real)[name]
    without = np.array([measure(np.delete(own, i, axis=0), real)[name].value for i in range(45)])
    np.testing.assert_allclose(estimate.influence, 44 * (without.mean() - without), atol=1e-12)


@pytest.mark.parametrize("name", ["precision", "recall", "density", "coverage"])
def test_the_standard_error_is_not_below_that_of_repeated_draws(name) -> None:
    random = np.random.default_rng(0)
    real = RealNeighborhoods(random.normal(size=(150, 6)))
    metric = {one.__name__: one for one in METRICS}[name]
    draws = [metric(neighborhoods(random.normal(0.3, 0.8, size=(100, 6)), real)) for _ in range(120)]
    expected = np.std([draw.value for draw in draws])
    claimed = np.sqrt(np.mean([np.square(draw.influence).mean() / 100 for draw in draws]))
    assert 0.85 * expected < claimed < 1.7 * expected  # the deviation of 120 draws is known to a tenth or so


def test_nothing_depends_on_how_the_matrix_is_cut_nor_on_the_order(monkeypatch) -> None:
    own, real = random_features(70, 50)
    whole = measure(own, real)
    monkeypatch.setattr(module, "CHUNK", 9)
    order = np.random.default_rng(0).permutation(70)
    cut = measure(own[order], real)
    for name, estimate in whole.items():
        assert cut[name].value == pytest.approx(estimate.value, abs=1e-12)
        np.testing.assert_allclose(cut[name].influence, estimate.influence[order], atol=1e-12)


def test_real_images_themselves_have_precision_and_recall_of_one() -> None:
    _, real = random_features(40, 60)
    found = measure(real, real)
    assert [found[name].value for name in ("precision", "recall", "coverage")] == [1, 1, 1]
    assert found["density"].value >= 1


def test_collapse_keeps_its_precision_and_loses_recall_and_coverage() -> None:
    _, real = random_features(40, 200)
    found = measure(np.repeat(real[:1], 50, axis=0), real)
    assert found["precision"].value == 1
    assert max(found["recall"].value, found["coverage"].value) < 0.1


def test_constant_images_on_both_sides_are_in_each_others_neighborhoods() -> None:
    found = measure(np.full((10, 8), 0.1), np.full((12, 8), 0.1))
    assert [found[name].value for name in ("precision", "recall", "coverage")] == [1, 1, 1]


def test_fewer_than_six_images_are_insufficient_and_what_is_not_finite_is_refused() -> None:
    own, real = random_features(20, 20)
    with pytest.raises(InsufficientDataError, match="5 images, and at least 6"):
        measure(own[:5], real)
    with pytest.raises(InsufficientDataError, match="1 real images"):
        measure(own, real[:1])
    own[3, 0] = np.inf
    with pytest.raises(NonFiniteError, match="1 of 20 images"):
        measure(own, real)
