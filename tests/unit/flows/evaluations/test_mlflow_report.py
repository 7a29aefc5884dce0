"""What MLflow holds of an evaluation: enough to review it there, and to sort and compare models by it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.config.model_config import read_model_config
from flows.evaluations.mlflow_report import log_judgment, log_numbers, log_protocol, review_text
from flows.evaluations.rules import Judgment
from flows.runtime.records import Evaluation, MetricValue, TrainingRun, Verdict
from flows.tracking.context import StageContext
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking
from gan_models.evaluation.comparison import Difference
from gan_models.evaluation.result import EvaluationResult, LeftOut, Metric, Protocol, Slice
from tests.support.checked import present
from tests.support.mlflow_helpers import logged_model, open_run, version
from tests.support.project import ROOT


def metric(name: str, value: float, part: Slice | None = None, *, higher: bool | None = True) -> Metric:
    protocol = Protocol(
        metric=name,
        num_images=20,
        seed=0,
        split_digest="s0",
        image="8x8x1 resize",
        extractor="net",
        extractor_sha256="e" * 64,
    )
    numbers = {"value": value, "low": value - 0.1, "high": value + 0.1}
    return Metric(name=name, slice=part, **numbers, num_images=20, higher_is_better=higher, protocol=protocol)


RESULT = EvaluationResult(
    bundle_digest="b0",
    task="generate",
    protocol_id="p0",
    metrics=(
        metric("diversity", 17.0),
        metric("label_accuracy", 0.9, Slice(kind="label", name="1")),
        metric("label_accuracy", 0.2, Slice(kind="label", name="7")),
    ),
)


@pytest.fixture
def ctx(tracking: Tracking, tmp_path: Path) -> StageContext:
    shutil.copy(ROOT / "configs" / "digits-generator.yaml", tmp_path / "configs")
    config = read_model_config(tmp_path / "configs" / "digits-generator.yaml")
    return StageContext(tracking.settings, config, tracking, Registry(tracking))


@pytest.fixture
def record(ctx: StageContext) -> Evaluation:
    run_id = open_run(ctx.tracking)
    training = TrainingRun(
        fingerprint="t0",
        run_id=run_id,
        model_name="digits",
        logged_model_id=logged_model(ctx.tracking, run_id),
        recipe="dcgan",
        bundle_digest="b0",
        dataset=version(run_id),
    )
    return Evaluation(
        fingerprint="e0",
        run_id=run_id,
        model_name="digits",
        target="models:/digits/3",
        bundle_digest="b0",
        dataset=version(run_id),
        training=training,
        protocol_id="p0",
        metrics={m.key: MetricValue(value=m.value, low=m.low, high=m.high) for m in RESULT.metrics},
    )


def table(ctx: StageContext, record: Evaluation, name: str) -> dict[str, Any]:
    shutil.rmtree(ctx.settings.state / "cache", ignore_errors=True)
    content: dict[str, Any] = json.loads(ctx.tracking.fetch(record.run_id, name).read_text())
    return content


def test_numbers_are_on_the_run_and_the_model_with_step_and_dataset(
    ctx: StageContext, record: Evaluation, tmp_path: Path
):
    (tmp_path / "pictures").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "pictures" / "samples.png")
    (tmp_path / "throughput.json").write_text('{"images_per_second": 812.0}')
    log_numbers(ctx, record, RESULT, tmp_path, step=1200)
    client = ctx.tracking.client
    metrics = client.get_run(record.run_id).data.metrics
    assert metrics["diversity_low"] == pytest.approx(16.9)
    assert metrics["images_per_second"] == 812.0
    assert "label_7/label_accuracy" in metrics
    assert "label_7/label_accuracy_low" not in metrics, "intervals of labels are in the table"
    (point,) = client.get_metric_history(record.run_id, "diversity")
    assert point.step == 1200
    (own,) = [
        m
        for m in present(client.get_logged_model(present(record.training).logged_model_id).metrics)
        if m.key == "diversity"
    ]
    assert (own.value, own.dataset_name, own.dataset_digest) == (17.0, "digits", "d1.dir")
    assert any(file.path.startswith("images/samples") for file in client.list_artifacts(record.run_id, "images"))


def test_the_table_of_slices_has_the_worst_first(ctx: StageContext, record: Evaluation, tmp_path: Path):
    log_numbers(ctx, record, RESULT, tmp_path, step=1)
    slices = table(ctx, record, "slices.json")
    assert [row[slices["columns"].index("slice")] for row in slices["data"]] == ["7", "1"]
    whole = table(ctx, record, "metrics.json")
    assert [row[0] for row in whole["data"]] == ["diversity"]
    assert {"low", "high", "baseline", "protocol"} <= set(whole["columns"])


def test_the_protocol_is_a_file_and_what_runs_are_filtered_by_are_tags(ctx: StageContext, record: Evaluation):
    log_protocol(ctx, record, RESULT)
    tags = ctx.tracking.tags(record.run_id)
    assert tags["protocol_id"] == "p0"
    assert tags["extractor"] == f"net {'e' * 12}"
    assert (tags["num_images"], tags["split_digest"], tags["task"]) == ("20", "s0", "generate")
    assert table(ctx, record, "protocol.json")["metrics"]["diversity"]["image"] == "8x8x1 resize"


def test_a_judgment_made_again_replaces_its_tables(ctx: StageContext, record: Evaluation):
    difference = Difference(
        key="diversity", name="diversity", slice=None, value=1.0, low=0.5, high=1.5, a=17.0, b=16.0, num_images=20,
        verdict="better",
    )  # fmt: skip
    for passed in (False, True):
        verdicts = (
            Verdict(rule="diversity at least 9", passed=True, reason="17"),
            Verdict(rule="diversity better than the champion", passed=passed, reason="1"),
        )
        log_judgment(ctx, record, Judgment(verdicts, None, (difference,), "1"))
    rules = table(ctx, record, "rules.json")
    assert [row[rules["columns"].index("passed")] for row in rules["data"]] == [True, True]
    comparison = table(ctx, record, "comparison.json")
    assert comparison["data"] == [["diversity", 17.0, 16.0, 1.0, 0.5, 1.5, "better"]]
    assert ctx.tracking.client.get_run(record.run_id).data.metrics["rules_that_hold"] == 1.0


def test_the_text_for_both_uis_is_short_however_many_metrics_there_are(record: Evaluation):
    many = {f"label_{n}/label_accuracy": MetricValue(value=1, low=1, high=1) for n in range(100)}
    text = review_text(record.model_copy(update={"metrics": many}))
    assert "models:/digits/3" in text
    assert "| and 60 more, in the report |" in text


def test_a_number_without_an_interval_survives_being_written_down():
    value = MetricValue(value=1.0, low=float("nan"), high=float("inf"))
    again = MetricValue.model_validate_json(value.model_dump_json())
    assert again.low != again.low
    assert again.high == float("inf")


def test_an_evaluation_of_very_many_labels_is_found_again(ctx: StageContext, record: Evaluation):
    many = {f"label_{n}/label_accuracy": MetricValue(value=1 / 3, low=0.1, high=0.9, baseline=1.0) for n in range(500)}
    long = record.model_copy(update={"metrics": many})
    ctx.tracking.finish(long)
    assert ctx.tracking.record(Evaluation, record.run_id) == long
    assert ctx.tracking.find_finished(Evaluation, "digits", "dataset", dataset="digits") == long


def test_what_was_not_measured_is_in_a_table_and_in_the_text(ctx: StageContext, record: Evaluation, tmp_path: Path):
    missing = LeftOut(name="art_distance", reason="takes 64 windows of photographs or more", smallest=64)
    log_numbers(ctx, record, RESULT.model_copy(update={"left_out": (missing,)}), tmp_path, step=1)
    assert table(ctx, record, "left_out.json")["data"] == [["art_distance", missing.reason, 64]]
    text = review_text(record.model_copy(update={"left_out": (missing,)}))
    assert "- not measured: art_distance: takes 64 windows of photographs or more" in text


def test_labels_that_mlflow_does_not_take_as_they_are_stay_apart(ctx: StageContext, record: Evaluation, tmp_path: Path):
    labels = [Slice(kind="label", name=name) for name in ("a(b", "a)b", "x" * 300)]
    metrics = tuple(metric("label_accuracy", 0.1 * n, part) for n, part in enumerate(labels))
    log_numbers(ctx, record, RESULT.model_copy(update={"metrics": metrics}), tmp_path, step=1)
    logged = ctx.tracking.client.get_run(record.run_id).data.metrics
    assert [logged[each.key] for each in metrics] == [each.value for each in metrics]
