"""The calibration's counts in small, and the document that is made of them."""

import sys

import numpy as np
import pytest

from benchmarks import calibration
from benchmarks.calibration import Question, Row, document, gaussian_questions, main, pair_of_pools, psnr_questions
from benchmarks.support.crops import blurred, crops, noisy
from gan_models.evaluation.stats.intervals import Estimate


@pytest.fixture(scope="module")
def rows():
    """Of Gaussian features in 16 dimensions: pairs of one distribution, then one that spreads by two fifths more."""
    return [question.answer(100) for question in gaussian_questions(16, [80], (0.4,))]


def test_pairs_of_one_distribution_tie_about_19_times_in_20(rows):
    equal = [row for row in rows if not row.strength]
    assert {row.metric for row in equal} == {"Fréchet distance", "kernel distance"}
    for row in equal:
        assert 90 <= row.ties <= 100
        assert 0.6 <= row.deviation_of_z <= 1.15


def test_a_worse_distribution_is_never_called_better_and_mostly_worse(rows):
    (row,) = (row for row in rows if row.strength and row.metric == "Fréchet distance")
    assert row.better == 0
    assert row.worse > 50


def test_more_noise_has_a_worse_psnr(monkeypatch):
    monkeypatch.setattr(calibration, "MORE_NOISE", (0.05,))
    equal, worse = (question.answer(20) for question in psnr_questions([20], 20))
    assert equal.ties >= 16
    assert worse.worse == 20


def test_pairs_of_one_pool_share_no_image():
    pool = np.arange(10.0)[:, None]
    drawn = []

    def judge(features):
        drawn.append(features.ravel())
        return Estimate(0.0, np.zeros(len(features)))

    draw = pair_of_pools(judge, pool, pool)
    draw(np.random.default_rng(0), 5)
    assert set(drawn[0]) | set(drawn[1]) == set(range(10))


def test_crops_are_the_same_for_the_same_seed_and_degraded_ones_are_not():
    images = crops(6, 32, 0)
    assert images.shape == (6, 3, 32, 32)
    np.testing.assert_array_equal(images, crops(6, 32, 0))
    for worse in (noisy(images, 4, 0), blurred(images, 1)):
        assert worse.shape == images.shape
        assert (worse != images).any(axis=(1, 2, 3)).all()


def test_rows_that_were_measured_are_kept_and_the_document_is_made_of_all(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", f"_ --folder {tmp_path} --images gaussian --sizes 20 40 --pairs 4".split())
    monkeypatch.setattr(calibration, "NUM_REAL", 100)
    main()
    text = capsys.readouterr().out
    assert "| Fréchet distance | Gaussian, d = 64 | 40 |" in text
    monkeypatch.setattr(Question, "answer", None)
    main()
    assert document([]) in text.replace(text[text.index("| Fréchet") : text.index("\nThe second")], "")
    assert capsys.readouterr().out.endswith(text[text.index("# Calibration") :])


def test_a_row_of_a_degradation_is_in_the_second_table():
    row = Row("PSNR, paired", "crops", 300, "noise +1%", 50, ties=10, worse=38, better=2, deviation_of_z=1.0)
    assert document([row]).endswith("| PSNR, paired | 300 | noise +1% | 38 of 50 | 10 of 50 | 2 of 50 |\n")
