"""What the benchmark compares does agree, in small."""

import sys

import numpy as np
import pytest

from benchmarks import evaluation
from benchmarks.evaluation import compared, main
from benchmarks.support.evaluation_cases import Case, evaluation_cases, feature_cases


def test_distances_of_features_are_those_of_both_libraries():
    rows = list(compared(feature_cases(150, 24), 1))
    assert [row[1] for row in rows] == ["torchmetrics", "torch-fidelity"]
    assert all(float(row[-1]) < 1e-6 for row in rows)


def test_a_whole_evaluation_has_the_numbers_of_the_libraries(tmp_path):
    rows = list(compared(evaluation_cases(24, tmp_path), 1))
    assert [row[1] for row in rows] == ["torchmetrics", "torchmetrics, features shared"]


def test_speeds_of_different_numbers_are_not_compared():
    case = Case("wrong", "reference", lambda: np.array([1.0]), lambda: np.array([1.1]))
    with pytest.raises(ValueError, match="wrong: "):
        list(compared([case], 1))


def test_memory_does_not_grow_with_sums(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(evaluation, "DIMENSION", 8)
    out = tmp_path / "speed.md"
    arguments = f"_ --cases memory --memory-images 128 --out {out}"
    monkeypatch.setattr(sys, "argv", arguments.split())
    main()
    text = out.read_text()
    assert text.endswith("Not measured this time: distance, distance-few, extraction, evaluation, interval.\n")
    assert "| 128 x 8 |" in text
