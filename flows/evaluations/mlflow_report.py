"""What a reviewer of an evaluation meets: numbers, tables and pictures in MLflow, the report, a text for both UIs."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.evaluations.rules import Judgment
from flows.runtime.records import Evaluation
from flows.tracking.context import StageContext
from gan_models.escaping import for_markdown

if TYPE_CHECKING:
    from gan_models.evaluation.result import EvaluationResult, Metric

SHOWN_IN_TEXT = 40  # rows of a table in the run's description


def log_numbers(ctx: StageContext, record: Evaluation, result: "EvaluationResult", folder: Path, step: int) -> None:
    """Log numbers as metrics of the run and of the logged model, as tables, and pictures as MLflow images.

    Args:
        step: of the training, that the model had taken.
    """
    from gan_models.evaluation.slices import by_slice

    numbers: dict[str, float] = {}
    for metric in result.metrics:
        numbers[metric.key] = metric.value
        if metric.slice is None or not metric.slice.is_one_of_many:  # hundreds of labels have theirs in the table
            numbers |= {f"{metric.key}_low": metric.low, f"{metric.key}_high": metric.high}
    speed = folder / "throughput.json"
    if speed.exists():
        numbers |= json.loads(speed.read_text())
    now = time.time()
    rows = [(key, number, step, now) for key, number in numbers.items()]
    model_id = record.training.logged_model_id if record.training else None
    ctx.tracking.log_metrics(record.run_id, rows, model_id, record.dataset)
    whole = [_table_row(metric) for metric in result.metrics if metric.slice is None]
    ctx.tracking.log_table(record.run_id, whole, "metrics.json")
    sliced = [
        {"kind": part.kind, "slice": part.name, **_table_row(metric)}
        for part, own in by_slice(result.metrics).items()
        for metric in own
    ]
    ctx.tracking.log_table(record.run_id, sliced, "slices.json")
    left_out = [{"metric": m.key, "reason": m.reason, "measured from": m.smallest} for m in result.left_out]
    ctx.tracking.log_table(record.run_id, left_out, "left_out.json")
    for picture in sorted((folder / "pictures").glob("*.png")):
        ctx.tracking.log_picture(record.run_id, picture, picture.stem, step)


def _table_row(metric: "Metric") -> dict[str, Any]:
    better = {True: "higher", False: "lower", None: "neither"}[metric.higher_is_better]
    return {
        "metric": metric.name,
        "value": metric.value,
        "low": metric.low,
        "high": metric.high,
        "baseline": metric.baseline,
        "baseline of": metric.baseline_name or "",
        "better": better,
        "images": metric.num_images,
        "protocol": metric.protocol.id,
        "note": metric.note,
    }


def log_protocol(ctx: StageContext, record: Evaluation, result: "EvaluationResult") -> None:
    """Log the whole protocol as `protocol.json`, and what a person filters runs by as tags."""
    parts = [metric.protocol for metric in result.metrics]
    protocols = {metric.key: metric.protocol.model_dump() for metric in result.metrics}
    content = {"protocol_id": result.protocol_id, "task": result.task, "metrics": protocols}
    ctx.tracking.log_json(record.run_id, content, "protocol.json")
    tags = {
        "protocol_id": result.protocol_id,
        "task": result.task,
        "extractor": _all(f"{p.extractor} {p.extractor_sha256[:12]}" for p in parts if p.extractor_sha256),
        "num_images": str(max(p.num_images for p in parts)),
        "split_digest": _all(p.split_digest for p in parts),
    }
    ctx.tracking.set_tags(record.run_id, tags)


def _all(values: Any) -> str:  # noqa: ANN401
    return ", ".join(sorted(set(values)))


def log_judgment(ctx: StageContext, record: Evaluation, judgment: Judgment) -> None:
    """Log verdicts and comparison as tables, and the share of rules that hold as a metric to sort runs by."""
    if not judgment.verdicts:
        return
    ctx.tracking.log_table(record.run_id, [verdict.model_dump() for verdict in judgment.verdicts], "rules.json")
    holding = sum(verdict.passed for verdict in judgment.verdicts) / len(judgment.verdicts)
    ctx.tracking.log_metrics(record.run_id, [("rules_that_hold", holding, 0, time.time())])
    log_comparison(ctx, record, judgment.differences, "comparison.json")


def log_comparison(ctx: StageContext, record: Evaluation, differences: Any, name: str) -> None:  # noqa: ANN401
    """Log every difference to another model with its interval, as a table of the run."""
    rows = [
        {
            "metric": difference.key,
            "this model": difference.a,
            "other": difference.b,
            "difference": difference.value,
            "low": difference.low,
            "high": difference.high,
            "verdict": difference.verdict,
        }
        for difference in differences
    ]
    ctx.tracking.log_table(record.run_id, rows, name)


def report(ctx: StageContext, record: Evaluation, judgment: Judgment, folder: Path) -> None:
    """Log the HTML report: numbers, pictures, the rules' verdicts, curves and lineage, next to the champion's."""
    from gan_models.evaluation.comparison import Difference, load_evaluation
    from gan_models.evaluation.report import ReportContext, render_report

    champion_folder = (
        ctx.tracking.fetch(judgment.champion.run_id, "evaluation") if judgment.champion is not None else None
    )
    context = ReportContext(
        title=ctx.model.name,
        subtitle=ctx.model.description,
        result=load_evaluation(folder)[0],
        directory=folder,
        decision=_outlook(record),
        promoted=all(verdict.passed for verdict in record.verdicts) if record.verdicts else None,
        champion=load_evaluation(champion_folder)[0] if champion_folder else None,
        champion_name=f"champion, version {record.champion_version}",
        champion_directory=champion_folder,
        differences=[d for d in judgment.differences if isinstance(d, Difference)],
        verdicts=judgment.verdicts,
        lineage=_lineage(ctx, record),
        metrics_rows=_training_metrics(ctx, record),
    )
    page = folder.parent / "report.html"
    render_report(context, page)
    ctx.tracking.log_files(record.run_id, [page])
    ctx.tracking.describe(record.run_id, review_text(record) + "\n\nThe whole report: artifact `report.html`.")


def _training_metrics(ctx: StageContext, record: Evaluation) -> tuple[dict[str, Any], ...]:
    if record.training is None:
        return ()
    curves = ctx.tracking.fetch(record.training.run_id, "metrics.jsonl").read_text()
    return tuple(json.loads(line) for line in curves.splitlines())


def _lineage(ctx: StageContext, record: Evaluation) -> dict[str, str]:
    """Return the way from the images' sources to what was measured, in the order in which one came of the other."""
    dataset, trained = record.dataset, record.training
    versions = ctx.registry.versions(ctx.model.name) if trained else []
    version = next((v.version for v in versions if trained and v.logged_model_id == trained.logged_model_id), None)
    lineage = {
        "image sources": ", ".join(source.path for source in ctx.model.dataset.sources),
        "dataset": f"{dataset.name}, {dataset.num_train:,} training and {dataset.num_evaluation:,} evaluation images",
        "dataset version": dataset.dvc_md5,
        "git commit": dataset.git_commit or "none",
    }
    if trained:
        lineage |= {"training data": trained.dataset.dvc_md5} if trained.dataset.dvc_md5 != dataset.dvc_md5 else {}
        lineage |= {"training run": f"{trained.run_id}, recipe {trained.recipe}"}
        lineage |= {"logged model": trained.logged_model_id}
    return {
        **lineage,
        "weights": record.bundle_digest,
        "measured": record.target,
        "evaluation run": record.run_id,
        "model version": f"models:/{ctx.model.name}/{version}" if version else "not registered yet",
        "champion": f"models:/{ctx.model.name}/{record.champion_version}" if record.champion_version else "none yet",
    }


def _outlook(record: Evaluation) -> str:
    if not record.verdicts:
        return "Measured to be compared with; no rule was applied"
    failed = sum(not verdict.passed for verdict in record.verdicts)
    return f"{failed} of {len(record.verdicts)} promotion rules fail" if failed else "Every promotion rule holds"


def review_text(record: Evaluation) -> str:
    """Return the evaluation in Markdown, for the MLflow run's description and the Prefect artifact."""
    from gan_models.evaluation.slices import left_out_lines

    head = f"**{record.model_name}**, {record.target}, against " + (
        f"champion version {record.champion_version}" if record.champion_version else "no champion yet"
    )
    table = ["| metric | value | 95% interval | baseline |", "| --- | --- | --- | --- |"]
    for key, metric in list(record.metrics.items())[:SHOWN_IN_TEXT]:
        baseline = "" if metric.baseline is None else f"{metric.baseline:.4g}"
        table.append(
            f"| {for_markdown(key)} | {metric.value:.4g} | {metric.low:.4g} to {metric.high:.4g} | {baseline} |"
        )
    left_out = len(record.metrics) - SHOWN_IN_TEXT
    if left_out > 0:
        table.append(f"| and {left_out} more, in the report | | | |")
    missing = [f"- not measured: {for_markdown(line)}" for line in left_out_lines(record.left_out)]
    rules = [
        f"- {'holds' if v.passed else '**fails**'}: {for_markdown(f'{v.rule} ({v.reason})')}" for v in record.verdicts
    ]
    return "\n".join([head, "", *rules, "", *table, "", *missing])
