"""The report of an evaluation: one HTML file that needs nothing else, to read, print and keep."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined

from gan_models.evaluation.comparison import Difference
from gan_models.evaluation.curves import curves
from gan_models.evaluation.registry import METRICS
from gan_models.evaluation.result import EvaluationResult, Metric, Picture
from gan_models.files import write_durably

PICTURE_BUDGET = 5_000_000  # bytes of PNG: with base64 and the rest the page stays under 8 MB
LABEL_SLICE = "label_"
WHISKER_WIDTH, WHISKER_MARGIN = 120, 8


class RuleVerdict(Protocol):
    """What one promotion rule says."""

    @property
    def rule(self) -> str: ...
    @property
    def passed(self) -> bool: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True)
class ReportContext:
    """Everything a report tells.

    decision: a line such as "Promoted to production"; `decision_reason` explains it; `promoted` colours it, None is
        neutral
    differences: of `result` against `champion`, as `compare` returns them
    lineage: from the images' source to the model version; `links`: addresses for some of its keys
    metrics_rows: the lines of the training run's metrics.jsonl
    directory, champion_directory: of the evaluations, for their pictures
    """

    title: str
    result: EvaluationResult
    directory: Path
    decision: str = ""
    decision_reason: str = ""
    promoted: bool | None = None
    champion: EvaluationResult | None = None
    champion_name: str = "champion"
    champion_directory: Path | None = None
    differences: Sequence[Difference] = ()
    verdicts: Sequence[RuleVerdict] = ()
    lineage: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    metrics_rows: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class _Line:
    """One line of a table of metrics."""

    title: str
    metric: Metric
    champion: Metric | None
    difference: Difference | None
    whisker: Mapping[str, float | None]


@dataclass(frozen=True)
class _Shown:
    """A picture, and the champion's of the same inputs, as data addresses."""

    picture: Picture
    address: str
    champion_address: str | None


def render_report(context: ReportContext, out: Path) -> None:
    """Write the report to `out`, whole or not at all.

    Raises:
        OSError: `out` cannot be written, or a picture of the evaluation is missing.
    """
    environment = Environment(
        loader=PackageLoader("gan_models.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    pictures, left_out = _pictures(context)
    tables, labels = _tables(context)
    html = environment.get_template("report.html.j2").render(
        report=context,
        tables=tables,
        labels=labels,
        pictures=pictures,
        curves=curves(context.metrics_rows),
        protocol=_common_protocol(context.result),
        notes=(*context.result.notes, *context.notes, *left_out),
        whisker_width=WHISKER_WIDTH,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_durably(out, html.encode())


def number(value: float, signed: bool = False) -> str:
    """Four significant digits, with a true minus sign."""
    size = abs(value)
    decimals = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3
    text = f"{value:{'+' if signed else ''},.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _tables(context: ReportContext) -> tuple[list[tuple[str, list[_Line]]], list[_Line]]:
    """Tables of metrics: all images first, then slices, worst first; and the labels, worst first."""
    champion = context.champion.by_key() if context.champion else {}
    differences = {difference.key: difference for difference in context.differences}
    tables: dict[str, list[_Line]] = {}
    labels = []
    for key, metric in context.result.by_key().items():
        is_label = (metric.slice or "").startswith(LABEL_SLICE)
        title = (metric.slice or "").removeprefix(LABEL_SLICE) if is_label else METRICS[metric.name].title
        other = champion.get(key)
        line = _Line(title, metric, other, differences.get(key), _whisker(metric, other))
        labels.append(line) if is_label else tables.setdefault(metric.slice or "", []).append(line)
    order = sorted(tables.items(), key=lambda item: (item[0] != "", _gain(item[1])))
    return order, sorted(labels, key=lambda line: line.metric.value)


def _gain(lines: list[_Line]) -> float:
    """What slices are ordered by: the PSNR gained, or else nothing."""
    return next((line.metric.value for line in lines if line.metric.name == "psnr_gain"), 0.0)


def _whisker(metric: Metric, champion: Metric | None) -> dict[str, float | None]:
    """Positions, in pixels, of a metric's interval on a line that also holds its baseline and the champion's value."""
    values = [metric.value, metric.low, metric.high, metric.baseline, champion.value if champion else None]
    known = [value for value in values if value is not None]
    low, high = min(known), max(known)
    scale = (WHISKER_WIDTH - 2 * WHISKER_MARGIN) / (high - low) if high > low else 0.0
    middle = WHISKER_WIDTH / 2

    def position(value: float | None) -> float | None:
        if value is None:
            return None
        return round(WHISKER_MARGIN + (value - low) * scale if scale else middle, 1)

    names = ("value", "low", "high", "baseline", "champion")
    return {name: position(value) for name, value in zip(names, values, strict=True)}


def _pictures(context: ReportContext) -> tuple[list[_Shown], list[str]]:
    """The pictures that fit into the budget, and a note on those that do not."""
    left = PICTURE_BUDGET
    shown, missing = [], []
    for picture in context.result.pictures:
        content = (context.directory / picture.file).read_bytes()
        compared = context.champion_directory if picture.paired else None
        other = compared / picture.file if compared else None
        champion = other.read_bytes() if other and other.is_file() else b""
        if len(content) + len(champion) > left:
            missing.append(picture.title)
            continue
        left -= len(content) + len(champion)
        shown.append(_Shown(picture, _address(content), _address(champion) if champion else None))
    return shown, [f"Left out to keep this page small: {', '.join(missing)}."] if missing else []


def _address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _common_protocol(result: EvaluationResult) -> dict[str, str]:
    """The parts of the protocol that all metrics share or that only one value exists of."""
    parts: dict[str, set[str]] = {}
    for metric in result.metrics:
        for part, value in metric.protocol.model_dump(
            exclude={"metric", "definition", "num_real", "num_images", "degradation"}
        ).items():
            if value is not None:
                parts.setdefault(part, set()).add(str(value))
    return {part.replace("_", " "): "; ".join(sorted(values)) for part, values in parts.items()}
