"""Training curves as inline SVG that takes its colours from the page."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

CURVES = {"Losses": ("loss/",), "Throughput, images per second": ("throughput/",)}
MAX_POINTS = 400
MAX_LINES = 5

# Matplotlib writes these colours; the page's style sheet gives them their meaning, in light and in dark.
INK, FAINT = "#010101", "#020202"
LINES = ("#010301", "#010302", "#010303", "#010304", "#010305")
VARIABLES = {INK: "var(--soft)", FAINT: "var(--line)"} | {c: f"var(--curve-{i})" for i, c in enumerate(LINES, 1)}


def curves(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(title, SVG) of the loss and throughput curves in `rows`, the lines of a run's metrics.jsonl."""
    drawn = []
    for title, prefixes in CURVES.items():
        names = sorted({name for row in rows for name in row["values"] if name.startswith(prefixes)})[:MAX_LINES]
        lines = {name: _line(rows, name) for name in names}
        if any(len(steps) > 1 for steps, _ in lines.values()):
            drawn.append((title, _svg(title, lines)))
    return drawn


def _line(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[Any, Any]:
    points = [(row["step"], row["values"][name]) for row in rows if name in row["values"]]
    kept = [points[i] for i in np.unique(np.linspace(0, len(points) - 1, min(len(points), MAX_POINTS)).astype(int))]
    steps, values = np.array(kept, dtype=np.float64).T
    return steps, values


def _svg(title: str, lines: Mapping[str, tuple[Any, Any]]) -> str:
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
        figure = Figure(figsize=(5.4, 2.7), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for (name, (steps, values)), colour in zip(lines.items(), LINES, strict=False):
            window = max(1, len(values) // 25)
            padded = np.pad(values, (window // 2, window - 1 - window // 2), mode="edge")
            smooth = np.convolve(padded, np.ones(window) / window, mode="valid")
            axes.plot(steps, values, color=colour, linewidth=0.7, alpha=0.3)
            axes.plot(steps, smooth, color=colour, linewidth=1.6, label=name.partition("/")[2].replace("_", " "))
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="y", linewidth=0.6)
        axes.tick_params(length=0)
        axes.set_xlabel("step")
        if len(lines) > 1:
            axes.legend(frameon=False, ncols=len(lines), loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
        content = io.StringIO()
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = content.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return re.sub(r'(<svg[^>]*?) width="[^"]*"', rf'\1 role="img" aria-label="{title}"', svg, count=1)
