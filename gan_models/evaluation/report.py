"""The report of an evaluation: one HTML file that needs nothing else, to read, print and keep."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined

from gan_models.evaluation.comparison import Difference
from gan_models.evaluation.figures.curves import curves
from gan_models.evaluation.metrics.catalog import METRICS
from gan_models.evaluation.result import EvaluationResult, Metric, Picture, Slice, SliceKind
from gan_models.evaluation.slices import by_slice, leading, left_out_lines, worst_first
from gan_models.files import write_durably

PICTURE_BUDGET = 5_000_000  # bytes of PNG: with base64 and the rest the page stays under 8 MB
WHISKER_WIDTH, WHISKER_MARGIN = 120, 8


class RuleVerdict(Protocol):
    """What one promotion rule says."""

    @property
    def rule(self) -> str:
        """Return the rule in words."""
        ...

    @property
    def passed(self) -> bool:
        """Return whether it holds."""
        ...

    @property
    def reason(self) -> str:
        """Return why, with the numbers."""
        ...


@dataclass(frozen=True)
class ReportContext:
    """Everything a report tells.

    decision: a line such as "Promoted to production"; `decision_reason` explains it; `promoted` colors it, None is
        neutral
    differences: of `result` against `champion`, as `compare` returns them
    lineage: from the images' source to the model version; `links`: addresses for some of its keys
    metrics_rows: the lines of the training run's metrics.jsonl
    directory, champion_directory: of the evaluations, for their pictures
    """

    title: str
    result: EvaluationResult
    directory: Path
    subtitle: str = ""
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
class _Table:
    """Metrics under one heading; `first` heads the column of their titles."""

    title: str
    first: str
    lines: list[_Line]


@dataclass(frozen=True)
class _Overview:
    """The value of each metric that all of several slices have: a row a slice, the worst first by metric `by`."""

    by: str
    columns: list[str]
    rows: list[tuple[str, list[Metric]]]


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
    html = environment.get_template("report.html.j2").render(
        report=context,
        whole=_lines(context, [metric for metric in context.result.metrics if metric.slice is None]),
        overview=_overview(context.result),
        tables=[*_tables_of_slices(context), *_tables_of_members(context)],
        speed=_speed(context.directory),
        pictures=pictures,
        curves=curves(context.metrics_rows),
        protocol=_common_protocol(context.result),
        left_out=left_out_lines(context.result.left_out),
        notes=(*context.result.notes, *context.notes, *left_out),
        whisker_width=WHISKER_WIDTH,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_durably(out, html.encode())


def number(value: float, signed: bool = False) -> str:
    """Return four significant digits, with a true minus sign; a dash for what is no number."""
    if not math.isfinite(value):
        return "\N{EN DASH}"
    size = abs(value)
    if 0 < size < 0.01:
        return f"{value:{'+' if signed else ''}.2g}".replace("-", "\N{MINUS SIGN}")
    decimals = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3
    text = f"{value:{'+' if signed else ''},.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _lines(context: ReportContext, metrics: Sequence[Metric], *, by_member: bool = False) -> list[_Line]:
    """Return the lines of a table, named by the metric, or by the label or style that each is about."""
    champion = context.champion.by_key() if context.champion else {}
    differences = {difference.key: difference for difference in context.differences}
    return [
        _Line(
            title=metric.slice.name if by_member and metric.slice else METRICS[metric.name].title,
            metric=metric,
            champion=champion.get(metric.key),
            difference=differences.get(metric.key),
            whisker=_whisker(metric, champion.get(metric.key)),
        )
        for metric in metrics
    ]


def _few_slices(result: EvaluationResult) -> dict[Slice, list[Metric]]:
    """Return degradations and the like, the worst first; labels and styles have a table a metric instead."""
    return by_slice([m for m in result.metrics if m.slice and not m.slice.is_one_of_many])


def _overview(result: EvaluationResult) -> _Overview | None:
    slices = _few_slices(result)
    if len(slices) < 2:
        return None
    shared = set.intersection(*({metric.name for metric in own} for own in slices.values()))
    columns = [metric.name for metric in next(iter(slices.values())) if metric.name in shared]
    rows = [(part.key, [m for column in columns for m in own if m.name == column]) for part, own in slices.items()]
    if not columns:
        return None
    titles = [METRICS[column].title for column in columns]
    return _Overview(METRICS[leading(result.metrics, shared)].title, titles, rows)


def _tables_of_slices(context: ReportContext) -> list[_Table]:
    return [_Table(part.key, "Metric", _lines(context, own)) for part, own in _few_slices(context.result).items()]


def _tables_of_members(context: ReportContext) -> list[_Table]:
    groups: dict[tuple[str, SliceKind], list[Metric]] = {}
    for metric in context.result.metrics:
        if metric.slice and metric.slice.is_one_of_many:
            groups.setdefault((metric.name, metric.slice.kind), []).append(metric)
    return [
        _Table(
            f"{METRICS[name].title} by {kind}, worst first",
            kind.capitalize(),
            _lines(context, worst_first(own), by_member=True),
        )
        for (name, kind), own in groups.items()
    ]


def _speed(directory: Path) -> float | None:
    """Return how many images the model made a second, where that was measured."""
    try:
        return float(json.loads((directory / "throughput.json").read_text())["images_per_second"])
    except FileNotFoundError:
        return None


def _whisker(metric: Metric, champion: Metric | None) -> dict[str, float | None]:
    """Return positions, in pixels, of a metric, its interval, its baseline and the champion's value on one line."""
    values = [metric.value, metric.low, metric.high, metric.baseline, champion.value if champion else None]
    known = [value for value in values if value is not None and math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    scale = (WHISKER_WIDTH - 2 * WHISKER_MARGIN) / (high - low) if high > low else 0.0
    middle = WHISKER_WIDTH / 2

    def position(value: float | None) -> float | None:
        if value is None or not math.isfinite(value):
            return None
        return round(WHISKER_MARGIN + (value - low) * scale if scale else middle, 1)

    names = ("value", "low", "high", "baseline", "champion")
    return {name: position(value) for name, value in zip(names, values, strict=True)}


def _pictures(context: ReportContext) -> tuple[list[_Shown], list[str]]:
    """Return the pictures that fit into the budget, and a note on those that do not."""
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
    """Return the parts of the protocol that all metrics share or that only one value exists of."""
    parts: dict[str, set[str]] = {}
    for metric in result.metrics:
        for part, value in metric.protocol.model_dump(
            exclude={"metric", "definition", "num_real", "num_images", "degradation"}
        ).items():
            if value is not None:
                parts.setdefault(part, set()).add(str(value))
    return {part.replace("_", " "): "; ".join(sorted(values)) for part, values in parts.items()}
