"""Intersection over union of classes, of images and of data sets, with what each image pulls on it."""

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from gan_models.evaluation.metrics.iou import Overlaps, class_iou, image_iou, mean_iou, overlaps

IGNORED = 255


def noisy(num_classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Twenty segmentations and what they should have been, a tenth of it ignored; the last class is never right."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, num_classes, (20, 8, 8)).astype(np.uint8)
    wrong = random.uniform(size=targets.shape) < 0.4
    predicted = np.where(
        wrong | (targets == num_classes - 1), random.integers(0, num_classes - 1, targets.shape), targets
    )
    return predicted.astype(np.uint8), np.where(random.uniform(size=targets.shape) < 0.1, IGNORED, targets)


def test_equal_segmentations_score_one_and_disjoint_ones_zero() -> None:
    tones = np.array([[[0, 1], [2, 2]]])
    assert image_iou(overlaps(tones, tones, 3)).tolist() == [1]
    assert image_iou(overlaps(np.zeros((1, 2, 2), int), np.ones((1, 2, 2), int), 3)).tolist() == [0]


def test_classes_that_are_in_neither_do_not_count() -> None:
    predicted, target = np.array([[[0, 0, 1, 1]]]), np.array([[[0, 1, 1, 1]]])
    counts = overlaps(predicted, target, 3)
    assert image_iou(counts).tolist() == pytest.approx([(1 / 2 + 2 / 3) / 2])
    assert mean_iou(counts).value == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert counts.present == [0, 1]


def test_ignored_pixels_count_for_nothing() -> None:
    predicted = np.array([[[0, 1, 1, 0]]])
    assert image_iou(overlaps(predicted, np.array([[[0, 1, IGNORED, IGNORED]]]), 2)).tolist() == [1]
    assert image_iou(overlaps(predicted, np.full((1, 1, 4), IGNORED), 2)).tolist() == [1]


def test_the_pixels_of_all_images_are_counted_together() -> None:
    """By hand: class 0 has 1 + 3 pixels in both of 2 + 4 in either, class 1 has 2 + 0 of 3 + 1."""
    predicted = np.array([[[0, 0, 1, 1]], [[0, 0, 0, 1]]])
    targets = np.array([[[0, 1, 1, 1]], [[0, 0, 0, 0]]])
    counts = overlaps(predicted, targets, 2)
    assert class_iou(counts, 0).value == pytest.approx(4 / 6, abs=1e-12)
    assert class_iou(counts, 1).value == pytest.approx(2 / 4, abs=1e-12)
    assert mean_iou(counts).value == pytest.approx((4 / 6 + 2 / 4) / 2, abs=1e-12)


@pytest.mark.parametrize("num_classes", [4, 6])
def test_values_are_those_of_torchmetrics(num_classes: int) -> None:
    predicted, targets = noisy()
    counts = overlaps(predicted, targets, num_classes)  # with six, two classes are in neither
    sides = [torch.from_numpy(side.astype(np.int64)) for side in (predicted, targets)]
    theirs = MulticlassJaccardIndex(num_classes, average="macro", ignore_index=IGNORED)(*sides)
    each = MulticlassJaccardIndex(num_classes, average="none", ignore_index=IGNORED)(*sides)
    assert mean_iou(counts).value == pytest.approx(float(theirs), abs=1e-6)
    for number in counts.present:
        assert class_iou(counts, number).value == pytest.approx(float(each[number]), abs=1e-6)


def test_influences_say_what_leaving_an_image_out_would_do() -> None:
    counts = overlaps(*noisy(), 4)
    whole, num = mean_iou(counts), len(counts.unions)
    assert whole.influence.sum() == pytest.approx(0, abs=1e-9)
    without = [mean_iou(Overlaps(*(np.delete(side, i, axis=0) for side in counts))).value for i in range(num)]
    left_out = (num - 1) * (whole.value - np.array(without))
    np.testing.assert_allclose(whole.influence, left_out, atol=0.1 * np.abs(left_out).max())


def test_shapes_have_to_agree() -> None:
    with pytest.raises(ValueError, match="of one shape"):
        overlaps(np.zeros((1, 2, 2), int), np.zeros((1, 2, 3), int), 3)
