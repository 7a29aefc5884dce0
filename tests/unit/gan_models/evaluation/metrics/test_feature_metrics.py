"""Diversity, the nearest training image, labels, and plain fills of holes."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from sklearn.datasets import load_digits

from gan_models.evaluation.errors import InsufficientDataError, NonFiniteError
from gan_models.evaluation.metrics.diversity import diversity
from gan_models.evaluation.metrics.label_accuracy import classes_present, label_accuracy, train_judge
from gan_models.evaluation.metrics.nearest_training import nearest_training
from gan_models.evaluation.tasks.classical_baselines import fill_with_mean_color, fill_with_nearest

FEATURES = np.random.default_rng(0).normal(size=(60, 8))
LABELS = np.repeat([0, 1, 2], [30, 29, 1])


def test_diversity_is_the_mean_pairwise_distance():
    assert diversity(FEATURES).value == pytest.approx(pdist(FEATURES).mean())


def test_diversity_with_labels_is_within_them_and_a_lonely_image_does_not_count():
    within = 30 * pdist(FEATURES[:30]).mean() + 29 * pdist(FEATURES[30:59]).mean()
    estimate = diversity(FEATURES, LABELS)
    assert estimate.value == pytest.approx(within / 59)
    assert estimate.influence[59] == 0
    assert estimate.influence.sum() == pytest.approx(0, abs=1e-9)


def test_the_standard_error_of_diversity_is_that_of_repeated_draws():
    random = np.random.default_rng(1)
    draws = [diversity(random.normal(size=(50, 4))) for _ in range(300)]
    expected = np.std([draw.value for draw in draws])
    assert np.median([np.sqrt(np.square(d.influence).mean() / 50) for d in draws]) == pytest.approx(expected, rel=0.2)


def test_constant_output_has_no_diversity():
    assert diversity(np.ones((20, 8))).value == 0


def test_diversity_of_one_image_is_insufficient_data_and_of_nan_is_refused():
    with pytest.raises(InsufficientDataError):
        diversity(FEATURES[:1])
    with pytest.raises(InsufficientDataError):
        diversity(FEATURES[:2], np.array([0, 1]))
    with pytest.raises(NonFiniteError, match="60 of 60"):
        diversity(FEATURES * np.nan)


def test_the_nearest_training_image_is_found():
    nearest = nearest_training(FEATURES[:7], FEATURES[7:])
    distances = cdist(FEATURES[:7], FEATURES[7:])
    assert nearest.which.tolist() == distances.argmin(1).tolist()
    np.testing.assert_allclose(nearest.distance, distances.min(1))


def test_a_copied_training_image_is_at_distance_zero():
    nearest = nearest_training(FEATURES[10:13], FEATURES)
    assert nearest.which.tolist() == [10, 11, 12]
    np.testing.assert_allclose(nearest.distance, 0, atol=1e-6)


def test_the_judge_of_digits_recognizes_97_in_100_unseen_ones():
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))  # the file is sorted by writer, a split is not
    pixels, labels = (digits.images[order, None] * 15.9).astype(np.uint8), digits.target[order]
    noise = np.random.default_rng(0).normal(size=(len(pixels), 4))
    judge = train_judge(pixels[:1300], noise[:1300], labels[:1300])
    assert judge.looks_at == "pixels"
    assert label_accuracy(judge.recognize(pixels[1300:], noise[1300:]), labels[1300:]).mean() >= 0.97


def test_the_judge_looks_at_features_where_pixels_say_nothing():
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = random.normal(size=(90, 5)) + 6 * labels[:, None]
    judge = train_judge(random.integers(0, 256, (90, 1, 8, 8), dtype=np.uint8), features, labels)
    assert judge.looks_at == "features"


def test_a_stray_sample_does_not_make_a_label_present():
    recognized = np.array([0] * 50 + [1] * 49 + [2])
    assert classes_present(recognized, np.array([0.3, 0.3, 0.4])).value == pytest.approx(2 / 3)
    assert classes_present(np.zeros(10, int), np.array([0.5, 0.5])).value == 0.5


def test_labels_that_no_real_image_has_are_not_missed():
    assert classes_present(np.array([0, 2] * 10), np.array([0.5, 0.0, 0.5])).value == 1


def test_holes_are_filled_from_what_is_known():
    image = np.zeros((1, 1, 8, 8), np.uint8)
    image[..., 4:] = 200
    hole = np.zeros((1, 1, 8, 8), bool)
    hole[..., 2:6, 3:5] = True
    broken = np.where(hole, 128, image).astype(np.uint8)
    assert (fill_with_nearest(broken, hole) == image).all()
    assert (fill_with_mean_color(broken, hole)[hole] == 100).all()
    assert (fill_with_mean_color(broken, hole)[~hole] == image[~hole]).all()


def test_an_image_that_is_all_hole_does_not_crash_a_fill():
    image = np.full((1, 3, 8, 8), 128, np.uint8)
    everything = np.ones((1, 1, 8, 8), bool)
    assert fill_with_nearest(image, everything).shape == fill_with_mean_color(image, everything).shape
