"""Training curves as inline SVG that takes its colors from the page."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LOSSES, THROUGHPUT = "loss/", "throughput/"
MAX_POINTS = 400
MAX_LOSSES = 7

# Matplotlib writes these colors; the page's style sheet gives them their meaning, in light and in dark.
INK, FAINT = "#010101", "#020202"
LINE = "#010301"
VARIABLES = {INK: "var(--soft)", FAINT: "var(--line)", LINE: "var(--curve-1)"}


def curves(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return (title, SVG) of each loss and of the throughput in `rows`, the lines of a run's metrics.jsonl.

    A curve each: losses of one recipe differ by orders of magnitude.
    """
    names = sorted({name for row in rows for name in row["values"]})
    names = [n for n in names if n.startswith(LOSSES)][:MAX_LOSSES] + [n for n in names if n.startswith(THROUGHPUT)]
    lines = {name.partition("/")[2].replace("_", " "): _line(rows, name) for name in names}
    return [(title, _svg(title, steps, values)) for title, (steps, values) in lines.items() if len(steps) > 1]


def _line(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[Any, Any]:
    points = [(row["step"], row["values"][name]) for row in rows if name in row["values"]]
    kept = [points[i] for i in np.unique(np.linspace(0, len(points) - 1, min(len(points), MAX_POINTS)).astype(int))]
    steps, values = np.array(kept, dtype=np.float64).T
    return steps, values


def _svg(title: str, steps: Any, values: Any) -> str:  # noqa: ANN401
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": title,
        "font.family": "sans-serif",
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.edgecolor": FAINT,
        "grid.color": FAINT,
    }
    with rc_context(style):
        figure = Figure(figsize=(5.4, 2.2), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        window = max(1, len(values) // 25)
        padded = np.pad(values, (window // 2, window - 1 - window // 2), mode="edge")
        smooth = np.convolve(padded, np.ones(window) / window, mode="valid")
        axes.plot(steps, values, color=LINE, linewidth=0.7, alpha=0.3)
        axes.plot(steps, smooth, color=LINE, linewidth=1.6)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="y", linewidth=0.6)
        axes.tick_params(length=0)
        axes.set_xlabel("step")
        content = io.StringIO()
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = content.getvalue()
    svg = svg[svg.index("<svg") :]
    for color, variable in VARIABLES.items():
        svg = svg.replace(color, variable)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return re.sub(r'(<svg[^>]*?) width="[^"]*"', rf'\1 role="img" aria-label="{title}"', svg, count=1)
