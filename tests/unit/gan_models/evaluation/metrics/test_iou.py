"""Mean intersection over union."""

import numpy as np
import pytest

from gan_models.evaluation.metrics.iou import mean_iou


def test_equal_segmentations_score_one_and_disjoint_ones_zero() -> None:
    tones = np.array([[[0, 1], [2, 2]]])
    assert mean_iou(tones, tones, 3).tolist() == [1]
    assert mean_iou(np.zeros((1, 2, 2), int), np.ones((1, 2, 2), int), 3).tolist() == [0]


def test_classes_that_are_in_neither_do_not_count() -> None:
    predicted, target = np.array([[[0, 0, 1, 1]]]), np.array([[[0, 1, 1, 1]]])
    assert mean_iou(predicted, target, 3).tolist() == pytest.approx([(1 / 2 + 2 / 3) / 2])


def test_shapes_have_to_agree() -> None:
    with pytest.raises(ValueError, match="of one shape"):
        mean_iou(np.zeros((1, 2, 2), int), np.zeros((1, 2, 3), int), 3)
