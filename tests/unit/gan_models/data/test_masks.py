"""Masks with values that a config does not name are refused, and so are classes that no mask has."""

import pytest
import torch

from gan_models.config import MaskClasses
from gan_models.data.masks import count_values, refuse_unknown_values, refuse_unseen_classes
from gan_models.data.shards import DataError

CLASSES = MaskClasses((0, 7), ("ground", "cat"), ignore=255)


def masks(**pixels: int) -> torch.Tensor:
    """Some masks, uint8 [N, 1, 1, 10], with so many pixels of each value."""
    values = [int(name.removeprefix("v")) for name, number in pixels.items() for _ in range(number)]
    return torch.tensor(values, dtype=torch.uint8).reshape(-1, 1, 1, 10)


def test_counts_are_those_of_the_pixels() -> None:
    counts = count_values(masks(v0=5_000, v7=20, v255=10))
    assert {value: int(counts[value]) for value in (0, 7, 255)} == {0: 5_000, 7: 20, 255: 10}
    assert int(counts.sum()) == 5_030


def test_values_that_are_no_class_are_named_with_their_pixels_the_most_frequent_first() -> None:
    counts = count_values(masks(v0=1_000, v7=10, v255=5, v3=4, v9=11))
    found = r"found: 0 \(1,000\), 7 \(10\), 255 \(5\)\."
    with pytest.raises(
        DataError, match=rf"the masks of x have .* no class: 9 \(11 pixels\), 3 \(4 pixels\); .* {found}"
    ):
        refuse_unknown_values(counts, CLASSES, "the masks of x")
    refuse_unknown_values(count_values(masks(v0=10, v7=5, v255=5)), CLASSES, "the masks of x")


def test_of_very_many_values_some_are_named_and_a_lossy_format_is_suggested() -> None:
    counts = torch.arange(256)
    with pytest.raises(DataError, match=r"245 \(245 pixels\) and 243 more; .* lossy format such as JPEG"):
        refuse_unknown_values(counts, CLASSES, "the masks of x")


def test_the_ignored_value_counts_as_unknown_where_none_is_ignored() -> None:
    with pytest.raises(DataError, match=r"255 \(5 pixels\)"):
        refuse_unknown_values(count_values(masks(v0=10, v255=5, v7=5)), MaskClasses((0, 7), ("a", "b")), "x")


def test_a_class_that_no_training_mask_has_is_refused() -> None:
    with pytest.raises(DataError, match=r"no pixel of the class cat \(7\): a model cannot learn"):
        refuse_unseen_classes(count_values(masks(v0=10)), CLASSES, "the training masks of x")
