"""Keys of metrics: rendered from what a metric is, whatever the data calls its labels, and never read back."""

import pytest
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, _validate_metric_name

from gan_models.config.names import RESERVED_PREFIXES
from gan_models.evaluation.result import Metric, Protocol, Slice

PROTOCOL = Protocol(metric="label_accuracy", num_images=20, seed=0, split_digest="s", image="32x32x1 resize")
AWKWARD = [
    *("7", "cat", "Großer Hund", "犬", "a b", "a.b", "..", "", " ", "a/b", "a:2f:b", "a(b", "a)b", "a_b", "a%28b"),
    *("\x1b[31mred", "two\nlines", "e\u0301", "é", "x" * 100, "x" * 101, "x" * 400, "x" * 401, "/" * 300, "=cmd|' /C"),
]


def metric(part: Slice | None) -> Metric:
    numbers = {"value": 1.0, "low": 1.0, "high": 1.0, "num_images": 20}
    return Metric(name="label_accuracy", slice=part, **numbers, higher_is_better=True, protocol=PROTOCOL)


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("kind", ["label", "style"])
def test_mlflow_takes_the_key_of_whatever_label_there_is(kind, name):
    key = metric(Slice(kind=kind, name=name)).key
    _validate_metric_name(f"{key}_high")
    assert len(f"{key}_high") <= MAX_ENTITY_KEY_LENGTH
    assert key.isprintable()


def test_different_labels_have_different_keys():
    assert len({Slice(kind="label", name=name).key for name in AWKWARD}) == len(AWKWARD)


def test_plain_names_stand_in_keys_as_they_are():
    assert metric(None).key == "label_accuracy"
    assert metric(Slice(kind="label", name="7")).key == "label_7/label_accuracy"
    assert metric(Slice(kind="style", name="night")).key == "style_night/label_accuracy"
    assert metric(Slice(kind="degradation", name="denoise_25")).key == "denoise_25/label_accuracy"
    assert metric(Slice(kind="direction", name="reverse")).key == "reverse/label_accuracy"
    assert metric(Slice(kind="unseen", name="style")).key == "unseen/label_accuracy"


def test_no_degradation_can_be_named_as_a_key_names_a_label_or_a_style():
    assert tuple(Slice(kind=kind, name="").key for kind in ("label", "style", "class")) == RESERVED_PREFIXES


def test_a_written_metric_says_what_it_is_about():
    written = metric(Slice(kind="label", name="a/b")).model_dump(mode="json")
    assert written["slice"] == {"kind": "label", "name": "a/b"}
    assert Metric.model_validate(written).slice == Slice(kind="label", name="a/b")
