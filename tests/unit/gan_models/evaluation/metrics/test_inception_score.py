"""The score, against a library; its network is tested with the extractors."""

import numpy as np
import pytest
import torch

from gan_models.evaluation.errors import InsufficientDataError, NonFiniteError
from gan_models.evaluation.metrics.inception_score import inception_score
from tests.support.golden import FEATURES, relative


@pytest.mark.parametrize("kind", FEATURES)
def test_it_is_what_torch_fidelity_says_with_one_split(kind, record_property) -> None:
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = FEATURES[kind]()[0]
    theirs = isc_features_to_metric(torch.from_numpy(logits), splits=1)["inception_score_mean"]
    difference = relative(inception_score(logits).value, theirs)
    record_property("largest relative difference", difference)
    assert difference < 1e-6


def test_it_counts_classes_that_are_recognized_without_doubt() -> None:
    assert inception_score(1000 * np.eye(8)[np.arange(40) % 8]).value == pytest.approx(8)


def test_constant_images_score_one() -> None:
    estimate = inception_score(np.ones((10, 5)))
    assert estimate.value == pytest.approx(1)
    np.testing.assert_allclose(estimate.influence, 0, atol=1e-12)


def test_the_influence_of_an_image_is_what_leaving_it_out_changes() -> None:
    logits = 2 * np.random.default_rng(0).normal(size=(200, 6))
    estimate = inception_score(logits)
    without = np.array([inception_score(np.delete(logits, i, axis=0)).value for i in range(200)])
    assert np.corrcoef(199 * (without.mean() - without), estimate.influence)[0, 1] > 0.999


def test_one_image_is_insufficient_and_what_is_not_finite_is_refused() -> None:
    with pytest.raises(InsufficientDataError):
        inception_score(np.ones((1, 5)))
    with pytest.raises(NonFiniteError, match="1 of 2"):
        inception_score(np.array([[0.0, 1], [np.nan, 1]]))
