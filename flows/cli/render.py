"""What a person reads at the end of a retrain, and the chain from a model version to its sources."""

from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text
from rich.tree import Tree

from flows.cli.evaluate import Assessment
from flows.config.settings import Settings
from flows.evaluations.retrain_summary import results
from flows.runtime.records import Evaluation, Retraining, Verdict, by_stage
from flows.tracking.registry import ModelVersion
from gan_models.escaping import for_terminal

if TYPE_CHECKING:
    from gan_models.evaluation.result import Metric

NUM_WORST = 3  # labels or styles that a terminal shows of each metric


def retraining_summary(name: str, retraining: Retraining) -> RenderableType:
    """Return stages, numbers and the decision of one retrain."""
    from gan_models.evaluation.slices import left_out_lines

    _, _, evaluation, promotion = retraining
    stages = Table(
        "stage", "", Column("seconds", justify="right"), "MLflow run", "result", box=None, padding=(0, 2, 0, 0)
    )
    made = results(retraining)
    for stage, record in by_stage(retraining).items():
        state = Text("skipped, nothing new", "dim") if record.skipped else Text("done", "green")
        stages.add_row(stage, state, f"{record.seconds:.1f}", record.run_id[:7], _text(made[stage]))
    missing = [_text(f"not measured: {line}", "dim") for line in left_out_lines(evaluation.left_out)]
    rules = _rules(promotion.verdicts)
    color = "green" if promotion.decision == "promoted" else "yellow"
    decision = Text.assemble(
        (f"Version {promotion.version} {promotion.decision}", f"bold {color}"), f": {for_terminal(promotion.reason)}"
    )
    return Panel(
        Group(stages, Text(), _metrics(evaluation), *missing, Text(), rules, Text(), decision),
        title=f"[bold]{name}",
        title_align="left",
    )


def assessment_summary(assessment: Assessment) -> RenderableType:
    """Return numbers with intervals and baselines, the verdict of each rule, and the differences to another model."""
    from gan_models.evaluation.slices import left_out_lines

    record = assessment.record
    state = "measured before" if record.skipped else f"measured in {record.seconds:.1f} s"
    head = Text.assemble(
        (for_terminal(record.target), "bold"),
        f", {state}, on {record.dataset.name} {record.dataset.dvc_md5[:7]}\n",
        (f"MLflow run {record.run_id}, protocol {record.protocol_id}\n", "dim"),
    )
    parts: list[RenderableType] = [head, _differences(assessment) if assessment.against else _measured(assessment)]
    parts += [_text(note, "dim") for note in ("", *assessment.result.notes)]
    parts += [_text(f"not measured: {line}", "dim") for line in left_out_lines(assessment.result.left_out)]
    champion = f"champion version {assessment.champion}" if assessment.champion else "no champion"
    parts += [Text(f"\nThe rules, with {champion}:"), _rules(assessment.verdicts)]
    return Panel(Group(*parts), title=f"[bold]{record.model_name}", title_align="left")


def _shown(assessment: Assessment) -> list["Metric"]:
    """Return all metrics, but of labels and styles the worst few of each: the report has the others."""
    from gan_models.evaluation.slices import worst_first

    metrics = assessment.result.metrics
    of_members = [metric for metric in metrics if metric.slice and metric.slice.is_one_of_many]
    worst = [
        metric.key
        for name in {metric.name for metric in of_members}
        for metric in worst_first(metric for metric in of_members if metric.name == name)[:NUM_WORST]
    ]
    left_out = {metric.key for metric in of_members} - set(worst)
    return [metric for metric in metrics if metric.key not in left_out]


def _measured(assessment: Assessment) -> Table:
    table = Table("metric", box=None, padding=(0, 2, 0, 0))
    for heading in ("value", "95% interval", "baseline"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for metric in _shown(assessment):
        interval = f"{metric.low:.4g} to {metric.high:.4g}"
        baseline = "" if metric.baseline is None else f"{metric.baseline:.4g}"
        name = _text(metric.baseline_name or "", "dim")
        table.add_row(_text(metric.key), f"{metric.value:.4g}", interval, baseline, name)
    return table


def _differences(assessment: Assessment) -> Table:
    assert assessment.against is not None
    table = Table("metric", box=None, padding=(0, 2, 0, 0))
    for heading in ("value", "95% interval", "baseline", assessment.against.target, "difference", "95% interval"):
        table.add_column(_text(heading), justify="right")
    table.add_column("")
    differences = {difference.key: difference for difference in assessment.differences}
    colors = {"better": "green", "worse": "red"}
    for metric in _shown(assessment):
        difference = differences[metric.key]
        table.add_row(
            _text(metric.key),
            f"{metric.value:.4g}",
            f"{metric.low:.4g} to {metric.high:.4g}",
            "" if metric.baseline is None else f"{metric.baseline:.4g}",
            f"{difference.b:.4g}",
            f"{difference.value:+.4g}",
            f"{difference.low:+.4g} to {difference.high:+.4g}",
            Text(difference.verdict, colors.get(difference.verdict, "")),
        )
    return table


def _rules(verdicts: Sequence[Verdict]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for verdict in verdicts:
        held = Text("holds", "green") if verdict.passed else Text("fails", "red")
        table.add_row(held, _text(verdict.rule), _text(verdict.reason))
    return table


def _metrics(evaluation: Evaluation) -> Table:
    table = Table("metric", box=None, padding=(0, 2, 0, 0))
    for heading in ("value", "95% interval", "baseline", "champion"):
        table.add_column(heading, justify="right")
    table.columns[-1].header = f"champion v{evaluation.champion_version}" if evaluation.champion_version else "champion"
    for key, metric in evaluation.metrics.items():
        if metric.slice and metric.slice.is_one_of_many:
            continue  # one row a label or style is for the report
        champion = evaluation.champion_metrics.get(key)
        table.add_row(
            _text(key),
            f"{metric.value:.4g}",
            f"{metric.low:.4g} to {metric.high:.4g}",
            "" if metric.baseline is None else f"{metric.baseline:.4g}",
            "none yet" if champion is None else f"{champion:.4g}",
        )
    return table


def next_commands(settings: Settings, environment: dict[str, str], retrainings: Sequence[Retraining]) -> Text:
    """Return the commands that open the UIs on what was just made, or its pages where servers are running."""
    text, tracking_uri = Text("\nLook at it:\n", "bold"), settings.mlflow_tracking_uri
    if page := settings.mlflow_page:
        for *_, evaluation, promotion in retrainings:
            text.append(f"  report   {page}/#/runs/{evaluation.run_id}\n", "cyan")
            text.append(f"  version  {page}/#/models/{promotion.model_name}/versions/{promotion.version}\n", "cyan")
    else:
        text.append(f"  .venv/bin/mlflow ui --backend-store-uri {quote(tracking_uri)}\n", "cyan")
    if "PREFECT_API_URL" in environment:
        text.append(f"  Prefect  {environment['PREFECT_API_URL'].removesuffix('/api')}\n", "cyan")
    else:
        text.append(f"  PREFECT_HOME={quote(environment['PREFECT_HOME'])} .venv/bin/prefect server start\n", "cyan")
    return text


def model_status(name: str, versions: Sequence[ModelVersion], aliases: dict[str, str]) -> RenderableType:
    """Return a table of a model's versions with their aliases and decisions, and the chain behind the champion.

    Args:
        aliases: all that the model has, each with the version it points to; one version may have several.
    """
    table = Table(
        "version",
        "aliases",
        "decision",
        "training run",
        "dataset version",
        "git commit",
        box=None,
        padding=(0, 2, 0, 0),
    )
    for version in versions:
        tags = version.tags
        table.add_row(
            version.version,
            Text(", ".join(alias for alias, at in aliases.items() if at == version.version), "bold green"),
            tags.get("decision", "undecided"),
            tags.get("training_run", "")[:7],
            f"{tags.get('dataset', '')} {tags.get('dataset_version', '')[:7]}",
            tags.get("git_commit", "")[:7],
        )
    shown = next((v for v in versions if v.version == aliases.get("champion")), versions[0] if versions else None)
    chain = _chain(name, shown) if shown else Text("no version is left")
    return Panel(Group(table, Text(), chain), title=f"[bold]{name}", title_align="left")


def _chain(name: str, version: ModelVersion) -> Tree:
    tree = Tree(f"models:/{name}/{version.version} comes from")
    for label, tag in (
        ("logged model", "logged_model"),
        ("promotion run", "promotion_run"),
        ("evaluation run", "evaluation_run"),
        ("training run", "training_run"),
        ("initial weights", "initial_model"),
        ("config", "config"),
        ("dataset", "dataset"),
        ("dataset version (DVC)", "dataset_version"),
        ("git commit", "git_commit"),
        ("fingerprint", "fingerprint"),
    ):
        tree.add(_text(f"{label:<22} {version.tags.get(tag, 'unknown')}"))
    return tree


def _text(text: str, style: str = "") -> Text:
    """Return text of labels, paths and reasons as it is: none of it is markup, and none of it controls the terminal."""
    return Text(for_terminal(text), style)
