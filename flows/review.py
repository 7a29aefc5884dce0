"""What a reviewer of an evaluation meets: numbers and pictures in MLflow, the report, a text for both UIs."""

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.orchestration import Workplace
from flows.records import Evaluation
from flows.rules import Judgement

if TYPE_CHECKING:
    from gan_models.evaluation.result import EvaluationResult


def log_numbers(place: Workplace, record: Evaluation, result: "EvaluationResult", folder: Path) -> None:
    """Numbers as metrics of the run and of the logged model, as a table, and pictures as MLflow images."""
    now = time.time()
    rows = [
        (re.sub(r"[^\w .:/-]", "_", f"{key}{suffix}"), number, 0, now)  # what MLflow takes as a name
        for key, metric in record.metrics.items()
        for suffix, number in (("", metric.value), ("_low", metric.low), ("_high", metric.high))
    ]
    place.tracking.log_metrics(record.run_id, rows, model_id=record.training.logged_model_id)
    table: list[dict[str, Any]] = [
        {
            "metric": metric.key,
            "value": metric.value,
            "low": metric.low,
            "high": metric.high,
            "baseline": metric.baseline,
            "images": metric.num_images,
            "protocol": metric.protocol.id,
            "note": metric.note or "",
        }
        for metric in result.metrics
    ]
    place.tracking.log_table(record.run_id, table, "metrics.json")
    for picture in sorted((folder / "pictures").glob("*.png")):
        place.tracking.log_picture(record.run_id, picture, picture.stem, 0)


def report(place: Workplace, record: Evaluation, judgement: Judgement, folder: Path) -> None:
    """Log the HTML report: numbers, pictures, the rules' verdicts, curves and lineage, beside the champion's."""
    from gan_models.evaluation.comparison import Difference, load_evaluation
    from gan_models.evaluation.report import ReportContext, render_report

    champion_folder = (
        place.tracking.fetch(judgement.champion.run_id, "evaluation") if judgement.champion is not None else None
    )
    curves = place.tracking.fetch(record.training.run_id, "metrics.jsonl").read_text()
    trained, dataset = record.training, record.training.dataset
    context = ReportContext(
        title=place.model.name,
        result=load_evaluation(folder)[0],
        directory=folder,
        decision=_outlook(record),
        promoted=all(verdict.passed for verdict in record.verdicts) if record.verdicts else None,
        champion=load_evaluation(champion_folder)[0] if champion_folder else None,
        champion_name=f"champion, version {record.champion_version}",
        champion_directory=champion_folder,
        differences=[d for d in judgement.differences if isinstance(d, Difference)],
        verdicts=judgement.verdicts,
        lineage={
            "model": place.model.name,
            "recipe": trained.recipe,
            "weights": trained.bundle_digest,
            "training run": trained.run_id,
            "evaluation run": record.run_id,
            "dataset": f"{dataset.name} {dataset.dvc_md5}",
            "git commit": dataset.git_commit or "none",
            "champion": record.champion_version or "none yet",
        },
        metrics_rows=tuple(json.loads(line) for line in curves.splitlines()),
    )
    page = folder.parent / "report.html"
    render_report(context, page)
    place.tracking.log_files(record.run_id, [page])
    place.tracking.describe(record.run_id, review_text(record) + "\n\nThe whole report: artifact `report.html`.")


def _outlook(record: Evaluation) -> str:
    if not record.verdicts:
        return "Measured again, as the champion"
    failed = sum(not verdict.passed for verdict in record.verdicts)
    return f"{failed} of {len(record.verdicts)} promotion rules fail" if failed else "Every promotion rule holds"


def review_text(record: Evaluation) -> str:
    """The evaluation in Markdown, for the MLflow run's description and the Prefect artifact."""
    head = f"**{record.model_name}** against " + (
        f"champion version {record.champion_version}" if record.champion_version else "no champion yet"
    )
    table = ["| metric | value | 95% interval | baseline |", "| --- | --- | --- | --- |"]
    for key, metric in record.metrics.items():
        baseline = "" if metric.baseline is None else f"{metric.baseline:.4g}"
        table.append(f"| {key} | {metric.value:.4g} | {metric.low:.4g} to {metric.high:.4g} | {baseline} |")
    rules = [f"- {'holds' if v.passed else '**fails**'}: {v.rule} ({v.reason})" for v in record.verdicts]
    return "\n".join([head, "", *table, "", *rules])
