"""Train and evaluate every recipe on its small config, and write docs/recipes.md with its pictures.

`python -m benchmarks.recipes`; with `--only cut dcgan` the others are shown as they were measured last. What is done is
kept under `.atelier/benchmarks` and used again where nothing has changed, so that it can be stopped at any time.
"""

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jinja2

from benchmarks.support.claims import claims_of, claims_of_generation, interval, sentence
from benchmarks.support.measured import Measured, MeasurementError, Workshop
from benchmarks.support.sheet import draw_sheet
from flows.config.settings import Settings
from flows.datasets.builder import DatasetRefusedError
from flows.runtime.progress import echo
from flows.sources.base import SourceError
from gan_models.config import ConfigError, read_yaml
from gan_models.evaluation.metrics.catalog import METRICS
from gan_models.evaluation.result import Metric

HERE = Path(__file__).parent
MAX_PICTURE_BYTES = 150_000
MAX_PICTURES_BYTES = 1_900_000  # of all together


def main(arguments: list[str] | None = None) -> int:
    """Run the program; 1 where a row could not be measured, the others are written nevertheless."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="RECIPE", help="measure these; the others are as measured last")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where recipes.md and recipes/ go")
    parser.add_argument("--configs", type=Path, default=Path("configs/small"), help="one config per row")
    parser.add_argument("--state", type=Path, help="what is done already; without it .atelier/benchmarks")
    options = parser.parse_args(arguments)
    settings = Settings()
    groups = read_yaml(HERE / "recipes.yaml")["groups"]
    files = {row["config"]: options.configs / f"{row['config']}.yaml" for group in groups for row in group["rows"]}
    unknown = sorted(set(options.only or ()) - set(files))
    if unknown:
        print(f"error: there is no row {unknown[0]!r}; there are {', '.join(files)}", file=sys.stderr)
        return 2

    workshop = Workshop(options.state or settings.state / "benchmarks", settings.root)
    rows: dict[str, Measured] = {}
    failed = []
    for name, file in files.items():
        try:
            if options.only and name not in options.only:
                last = workshop.finished(file)
            else:
                last = workshop.measure(file)
                echo(f"{name}: trained in {last.seconds:.0f} s")
        except (ConfigError, SourceError, DatasetRefusedError, MeasurementError) as error:
            failed.append(name)
            print(f"error: {error}", file=sys.stderr)
            continue
        if last:
            rows[name] = last
    write_document(groups, rows, options.out)
    echo(f"written: {options.out / 'recipes.md'}, {len(rows)} of {len(files)} rows measured")
    return 1 if failed else 0


def write_document(groups: list[dict[str, Any]], rows: Mapping[str, Measured], out: Path) -> None:
    """Write `recipes.md` and one picture per row into `out`. The same measurements give the same files.

    Args:
        groups: the content of benchmarks/recipes.yaml.
        rows: what was measured, by the name of its config; rows of `groups` that are not in it say so.
        out: other files in its folder `recipes` are removed.
    """
    folder = out / "recipes"
    folder.mkdir(parents=True, exist_ok=True)
    budget = min(MAX_PICTURE_BYTES, MAX_PICTURES_BYTES // max(1, len(rows)))
    pictures = {f"{name}.jpg": draw_sheet(row.result, row.pictures, budget) for name, row in rows.items()}
    for old in folder.iterdir():
        if old.name not in pictures:
            old.unlink()
    for name, content in pictures.items():
        (folder / name).write_bytes(content)

    filled = [
        {
            **group,
            "rows": [row | _filled(row["config"], row["metrics"], rows) for row in group["rows"]],
            "verdict": sentence(claims_of_generation(rows)) if group["title"] == "Generation" and rows else "",
        }
        for group in groups
    ]
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE / "support" / "templates"), autoescape=False)
    text = environment.get_template("recipes.md.j2").render(
        groups=filled,
        cores=len(os.sched_getaffinity(0)),
        torch=importlib.metadata.version("torch"),
        seeds=_seeds(rows),
    )
    (out / "recipes.md").write_text(text.rstrip() + "\n")


def _filled(name: str, shown: Sequence[str], rows: Mapping[str, Measured]) -> dict[str, Any]:
    """Return the measured part of a row."""
    if name not in rows:
        missing = f"not measured yet: `python -m benchmarks.recipes --only {name}`"
        return {"summary": missing, "verdict": "Not measured yet.", "metrics": [], "seconds": "", "parameters": ""}
    row = rows[name]
    overall = [metric for metric in row.result.metrics if not (metric.slice and metric.slice.kind == "label")]
    chosen = {metric.key: metric for pattern in shown for metric in overall if fnmatchcase(metric.key, pattern)}
    return {
        "summary": "<br>".join(_in_words(metric) for metric in chosen.values()),
        "verdict": sentence(claims_of(name, rows)),
        "picture": f"recipes/{name}.jpg",
        "seconds": f"{row.seconds:.0f} s",
        "parameters": f"{row.num_parameters / 1e6:.2f} M",
        "metrics": [
            {
                "key": metric.key,
                "value": f"{metric.value:.4g} {metric.unit}".strip(),
                "interval": f"{metric.low:.4g} to {metric.high:.4g}",
                "baseline": _baseline(metric),
            }
            for metric in overall
        ],
    }


def _in_words(metric: Metric) -> str:
    kind = METRICS.get(metric.name)
    title = (kind.title if kind else metric.name) + (f", {metric.slice.key}" if metric.slice else "")
    baseline = _baseline(metric)
    return f"{title} {interval(metric)} {metric.unit}".strip() + (f" ({baseline})" if baseline else "")


def _baseline(metric: Metric) -> str:
    return "" if metric.baseline is None else f"{metric.baseline_name}: {metric.baseline:.4g}"


def _seeds(rows: Mapping[str, Measured]) -> str:
    seeds = sorted({row.config.train.seed for row in rows.values()})
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}" if seeds else ""


if __name__ == "__main__":
    sys.exit(main())
