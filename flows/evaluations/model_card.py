"""The model card: what a version is, was made of and can do, and where it is known to be weak, in Markdown."""

import math
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from flows.config.model_config import ModelConfig
from flows.runtime.records import Evaluation, Promotion, TrainingRun
from flows.tracking.context import StageContext
from gan_models.bundles.description import BundleDescription, read_description
from gan_models.escaping import for_markdown
from gan_models.tasks import TASKS, example_request

if TYPE_CHECKING:
    from gan_models.evaluation.result import EvaluationResult, Metric

FILE = "model_card.md"
MAX_DESCRIPTION = 5_000  # characters that MLflow's database has room for in a version's description
NUM_WEAK_SLICES = 8


def write_card(ctx: StageContext, judged: Evaluation, training: TrainingRun, decision: Promotion) -> str:
    """Put the card on the promotion's run and on the logged model.

    Returns:
        As much of it as a version's description holds.
    """
    from gan_models.evaluation.comparison import load_evaluation

    result, _ = load_evaluation(ctx.tracking.fetch(judged.run_id, "evaluation"))
    bundle = read_description(ctx.registry.fetch_bundle(training.logged_model_id))
    text = render_card(ctx.model, judged, training, decision, result, bundle)
    folder = ctx.settings.state / "runs" / judged.fingerprint
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    file.write_text(text, encoding="utf-8")
    ctx.tracking.log_files(decision.run_id, [file])
    ctx.registry.log_file(training.logged_model_id, file)
    return shortened(text)


def render_card(
    model: ModelConfig,
    evaluation: Evaluation,
    training: TrainingRun,
    decision: Promotion,
    result: "EvaluationResult",
    bundle: BundleDescription,
) -> str:
    """Return the card in Markdown."""
    environment = Environment(  # Markdown, not HTML
        loader=PackageLoader("flows.evaluations"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["markdown"] = for_markdown
    environment.filters["number"] = lambda value: f"{value:.4g}"
    return environment.get_template(f"{FILE}.j2").render(
        model=model,
        version=decision.version,
        decision=f"{decision.decision.capitalize()}: {decision.reason}",
        training=training,
        trained_on=training.dataset,
        evaluation=evaluation,
        bundle=bundle,
        sources=", ".join(f"`{source.path}`" for source in model.dataset.sources),
        limits=limits_of(result, decision),
        shown=[m for m in result.metrics if m.slice is None or not m.slice.is_one_of_many],
        verdicts=decision.verdicts,
        request=example_request(bundle.recipe),
        in_words=TASKS[bundle.task].in_words(bundle.recipe),
    )


def limits_of(result: "EvaluationResult", decision: Promotion) -> list[str]:
    """Return rules that fail, slices that are surely worse than their baseline, worst first, notes, and gaps."""
    from gan_models.evaluation.slices import left_out_lines

    failing = [f"Fails the rule {v.rule}: {v.reason}." for v in decision.verdicts if not v.passed]
    weak = sorted((m for m in result.metrics if m.slice and _shortfall(m) > 0), key=_shortfall, reverse=True)
    slices = [
        f"{m.name} of the {for_markdown(str(m.slice))} is "
        f"{m.value:.4g} [{m.low:.4g}, {m.high:.4g}], "
        f"worse than the {m.baseline:.4g} of the baseline ({m.baseline_name})."
        for m in weak[:NUM_WEAK_SLICES]
    ]
    if len(weak) > NUM_WEAK_SLICES:
        slices.append(f"{len(weak) - NUM_WEAK_SLICES} more slices are worse than their baseline; see the report.")
    missing = [f"Not measured: {for_markdown(line)}." for line in left_out_lines(result.left_out)]
    return [*failing, *slices, *map(for_markdown, result.notes), *missing]


def _shortfall(metric: "Metric") -> float:
    """Return by what share of it a metric's whole interval misses its baseline; 0 where it does not."""
    if metric.baseline is None or metric.higher_is_better is None or not math.isfinite(metric.baseline):
        return 0.0
    missing = metric.baseline - metric.high if metric.higher_is_better else metric.low - metric.baseline
    return max(0.0, missing) / max(abs(metric.baseline), 1e-9)


def shortened(text: str) -> str:
    """Return a text cut after a whole line where it is too long for a version's description."""
    if len(text) <= MAX_DESCRIPTION:
        return text
    end = f"\n\nThe whole card: `{FILE}`, an artifact of the logged model."
    return text[: text.rindex("\n", 0, MAX_DESCRIPTION - len(end))] + end
