import json
import subprocess
import sys

import numpy as np
import pytest

from gan_models.evaluation.comparison import compare, load_evaluation
from gan_models.evaluation.errors import EvaluationError, IncomparableError
from gan_models.evaluation.metrics.frechet_distance import RealFeatures, frechet_distance
from gan_models.evaluation.result import EvaluationResult, Metric, Protocol, Slice, protocol_id_of
from gan_models.evaluation.stats.intervals import Estimate, interval, mean_of, share_of, without_interval

PROTOCOL = Protocol(metric="psnr", num_images=200, seed=0, split_digest="d" * 64, image="64x64x3 crop")


def evaluation(estimate, protocol=PROTOCOL, *, higher_is_better=True, task="restore", slice_name="denoise"):
    """An evaluation of one metric, and its influence values."""
    low, high = interval(estimate, protocol.seed)
    metric = Metric(
        name=protocol.metric,
        slice=Slice(kind="degradation", name=slice_name),
        value=estimate.value,
        low=low,
        high=high,
        num_images=len(estimate.influence),
        higher_is_better=higher_is_better,
        protocol=protocol,
    )
    result = EvaluationResult(
        bundle_digest="b" * 64, task=task, protocol_id=protocol_id_of((metric,)), metrics=(metric,)
    )
    return result, {metric.key: estimate.influence}


def scores(mean, seed=0):
    return mean_of(np.random.default_rng(seed).normal(mean, 3, 200))


def test_a_worse_model_is_called_worse_and_the_other_better():
    good, bad = evaluation(scores(30)), evaluation(scores(28, seed=1))
    assert compare(*bad, *good)[0].verdict == "worse"
    assert compare(*good, *bad)[0].verdict == "better"


def test_lower_is_better_where_the_metric_says_so():
    near, far = evaluation(scores(28), higher_is_better=False), evaluation(scores(30, 1), higher_is_better=False)
    assert compare(*near, *far)[0].verdict == "better"


def test_a_metric_without_a_better_direction_changes():
    one, other = evaluation(scores(30), higher_is_better=None), evaluation(scores(20), higher_is_better=None)
    assert compare(*one, *other)[0].verdict == "changed"


def test_a_model_ties_with_itself():
    (difference,) = compare(*evaluation(scores(30)), *evaluation(scores(30)))
    assert (difference.verdict, difference.value) == ("tie", 0)


def test_pairing_finds_a_difference_that_is_small_beside_the_spread_of_images():
    images = np.random.default_rng(0).normal(30, 5, 200)
    shifted = images - 0.1 + np.random.default_rng(1).normal(0, 0.3, 200)
    a, b = evaluation(mean_of(shifted)), evaluation(mean_of(images))
    assert a[0].metrics[0].high > b[0].metrics[0].value  # the intervals overlap
    assert compare(*a, *b)[0].verdict == "worse"


OTHER_PARTS = {
    "definition": 2,
    "num_images": 300,
    "num_real": 500,
    "seed": 1,
    "split_digest": "e" * 64,
    "training_digest": "e" * 64,
    "image": "32x32x3 crop",
    "extractor": "inception",
    "extractor_sha256": "e" * 64,
    "resize": "bicubic antialias 96",
    "dtype": "float16",
    "degradation": {"sigma": 25.0},
    "judge": "support vectors on pixels",
}


def test_every_part_of_a_protocol_is_tried_below():
    assert {"metric", *OTHER_PARTS} == set(Protocol.model_fields), "the metric is what the others are of"


@pytest.mark.parametrize(("part", "value"), OTHER_PARTS.items())
def test_another_protocol_is_refused_and_the_part_that_differs_is_named(part, value):
    other = PROTOCOL.model_copy(update={part: value})
    assert other.id != PROTOCOL.id
    with pytest.raises(IncomparableError, match=f"{part} of denoise/psnr"):
        compare(*evaluation(scores(30)), *evaluation(scores(30), other))


def test_another_task_and_another_set_of_metrics_are_refused():
    with pytest.raises(IncomparableError, match="to restore, the other to generate"):
        compare(*evaluation(scores(30)), *evaluation(scores(30), task="generate"))
    with pytest.raises(IncomparableError, match="only one of the evaluations has denoise/psnr, inpaint/psnr"):
        compare(*evaluation(scores(30)), *evaluation(scores(30), slice_name="inpaint"))


def test_an_interval_is_the_same_for_the_same_seed_and_holds_the_estimate():
    low, high = interval(scores(30), 0)
    assert (low, high) == interval(scores(30), 0)
    assert low < scores(30).value < high
    assert high - low == pytest.approx(2 * 1.96 * 3 / np.sqrt(200), rel=0.2)


def test_the_protocol_id_does_not_depend_on_the_order_of_metrics():
    metrics = [evaluation(scores(30), slice_name=name)[0].metrics[0] for name in ("a", "b")]
    assert protocol_id_of(tuple(metrics)) == protocol_id_of(tuple(reversed(metrics)))
    assert len(PROTOCOL.id) == 12


def shares_of_ties(draw, pairs):
    ties = 0
    for _ in range(pairs):
        a, b = draw(), draw()
        low, high = interval(Estimate(a.value - b.value, a.influence - b.influence), 0)
        ties += low <= 0 <= high
    return ties / pairs


def test_pairs_of_one_distribution_are_ties_about_19_times_in_20():
    random = np.random.default_rng(3)
    real = RealFeatures(random.normal(size=(400, 16)))
    distance = shares_of_ties(lambda: frechet_distance(random.normal(size=(150, 16)), real), 100)
    mean = shares_of_ties(lambda: mean_of(random.normal(30, 3, 150)), 200)
    assert 0.92 <= distance <= 0.99
    assert 0.91 <= mean <= 0.99


def test_perfect_shares_tie_and_have_intervals():
    perfect, nearly = (evaluation_of_share(hits) for hits in (200, 199))
    assert perfect[0].metrics[0].low < 1
    assert compare(*perfect, *perfect)[0].verdict == "tie"
    assert compare(*perfect, *nearly)[0].verdict == "tie"
    assert compare(*evaluation_of_share(150), *perfect)[0].verdict == "worse"


def evaluation_of_share(hits):
    estimate = share_of((np.arange(200) < hits) * 1.0)
    result, influence = evaluation(estimate)
    (metric,) = result.metrics
    return result.model_copy(update={"metrics": (metric.model_copy(update={"is_share": True}),)}), influence


def test_what_has_no_interval_is_never_better():
    near, far = evaluation(without_interval(28, 200)), evaluation(without_interval(30, 200))
    (difference,) = compare(*near, *far)
    assert difference.verdict == "tie"
    assert np.isnan(difference.low)


def test_a_finished_evaluation_is_read_back(tmp_path):
    result, influence = evaluation(scores(30))
    (tmp_path / "evaluation.json").write_text(result.model_dump_json())
    np.savez(tmp_path / "influence.npz", **influence)
    loaded, values = load_evaluation(tmp_path)
    assert loaded == result
    np.testing.assert_array_equal(values["denoise/psnr"], influence["denoise/psnr"])


def test_an_unfinished_or_damaged_evaluation_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match="no finished evaluation"):
        load_evaluation(tmp_path)
    result, _ = evaluation(scores(30))
    (tmp_path / "evaluation.json").write_text(result.model_dump_json())
    np.savez(tmp_path / "influence.npz", other=np.zeros(3))
    with pytest.raises(EvaluationError, match="damaged"):
        load_evaluation(tmp_path)
    (tmp_path / "evaluation.json").write_text(json.dumps({"task": "restore"}))
    with pytest.raises(EvaluationError, match="damaged"):
        load_evaluation(tmp_path)


def test_the_platform_compares_without_importing_torch():
    code = "import sys, gan_models.evaluation.comparison, gan_models.evaluation.report; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
