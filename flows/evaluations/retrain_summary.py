"""What a retrain came to: in a line for its state, as tags, and as the page that Prefect shows of it."""

from flows.runtime.deployments import TAG
from flows.runtime.records import Record, Retraining, Stage, by_stage
from flows.tracking.context import StageContext
from gan_models.escaping import for_markdown


def outcome(ctx: StageContext, retraining: Retraining) -> str:
    """Return in one line what was decided, or that nothing was new, and which version is champion."""
    promotion = retraining[3]
    if promotion.decision == "promoted" and not promotion.skipped:
        return f"version {promotion.version} promoted, {promotion.reason}"
    champion = ctx.registry.at(ctx.model.name, "champion")
    now = f"version {champion.version} is champion" if champion else "there is no champion"
    if promotion.skipped:
        return f"nothing new; {now}"
    return f"version {promotion.version} not promoted, {now}: {promotion.reason}"


def tags(ctx: StageContext, retraining: Retraining | None = None) -> list[str]:
    """Return the tags that a retrain is found by in Prefect; before it has ended there is no decision."""
    found = [TAG, f"model:{ctx.model.name}", f"dataset:{ctx.model.dataset.name}"]
    if retraining:
        promotion = retraining[3]
        found.append(f"decision:{'nothing new' if promotion.skipped else promotion.decision}")
    return found


def results(retraining: Retraining) -> dict[Stage, str]:
    """Return in a few words what each stage made."""
    version, training, evaluation, promotion = retraining
    return {
        "dataset": f"{version.name} {version.dvc_md5[:7]}, {version.num_train:,} + {version.num_evaluation:,} images",
        "train": f"{training.recipe}, weights {training.bundle_digest[:7]}",
        "evaluate": f"{len(evaluation.metrics)} metrics, protocol {evaluation.protocol_id}",
        "promote": f"version {promotion.version}: {promotion.decision}",
    }


def page(ctx: StageContext, retraining: Retraining) -> str:
    """Return Markdown with the outcome, a row for each stage, and the way to its MLflow run and to the version."""
    mlflow, promotion, made = ctx.settings.mlflow_page, retraining[3], results(retraining)
    rows = [
        f"| {stage} | {'skipped' if record.skipped else 'done'} | {record.seconds:.1f} | {for_markdown(made[stage])} "
        f"| {_run(mlflow, record)} |"
        for stage, record in by_stage(retraining).items()
    ]
    version = f"version {promotion.version} of {promotion.model_name}"
    if mlflow:
        version = f"[{version}]({mlflow}/#/models/{promotion.model_name}/versions/{promotion.version})"
    return "\n".join(
        [
            f"**{for_markdown(outcome(ctx, retraining))}**",
            "",
            "| stage | | seconds | result | MLflow run |",
            "| --- | --- | ---: | --- | --- |",
            *rows,
            "",
            f"{version[0].upper()}{version[1:]}: {promotion.decision}. {for_markdown(promotion.reason)}",
        ]
    )


def _run(mlflow: str | None, record: Record) -> str:
    return f"[{record.run_id[:7]}]({mlflow}/#/runs/{record.run_id})" if mlflow else f"`{record.run_id}`"
