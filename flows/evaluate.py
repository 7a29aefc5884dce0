"""Stage three: one trained model in, numbers with intervals out, next to the champion's under the same protocol."""

import json
from collections.abc import Callable
from pathlib import Path

from prefect import flow

from flows.config.run_config import write_run_config
from flows.datasets import versions
from flows.datasets.lineage import keep_lineage
from flows.evaluations.comparison import Opponent, judge_against
from flows.evaluations.mlflow_report import log_judgment, log_numbers, log_protocol, report, review_text
from flows.evaluations.rules import Judgment
from flows.lookup import evaluation as lookup
from flows.lookup.evaluation_target import EvaluationTarget, named, registered, trained, trained_now
from flows.lookup.promotion import find_opponent
from flows.runtime.errors import StageError
from flows.runtime.followed_file import FollowedFile
from flows.runtime.gpus import hold_free_gpu
from flows.runtime.locks import locked
from flows.runtime.prefect_runs import in_one_sentence, name_flow_run
from flows.runtime.progress import Update, echo, progress
from flows.runtime.records import DatasetVersion, Evaluation, MetricValue, TrainingRun
from flows.runtime.supervised_process import ChildFailedError, cause_of, evaluation_limits, run_supervised
from flows.tracking.context import StageContext, publish, skip, stage_run
from flows.tracking.registry import ModelVersion, UnknownModelError
from gan_models.bundles.description import BundleError, read_description


@flow(name="evaluate", description=__doc__)
@in_one_sentence
def evaluate(config: str, training: TrainingRun | None = None, model: str | None = None) -> Evaluation:
    """Measure a model in a process of its own, compare it with the champion, and write the report.

    Args:
        config: the model's config file, relative to the project.
        training: the run whose model is measured; without it that of what the config makes now.
        model: what is measured in place of it, on the config's present data: `models:/name/3`, `models:/name@alias`,
            a version's number, or the folder of a bundle.
    """
    ctx = StageContext.open(config)
    target = trained(ctx, training) if training else named(ctx, model) if model else trained_now(ctx)
    fingerprint = lookup.fingerprint(ctx, target)
    name_flow_run(f"evaluate {ctx.model.name} {fingerprint[:7]}")
    opponent = None
    if lookup.find(ctx, fingerprint) is None:
        # Before the lock: a model and its champion, evaluated at one time, must not wait for each other.
        opponent = _measure_opponent(ctx, find_opponent(ctx, target.training), target.dataset)
    with locked(ctx.settings, f"evaluate-{ctx.model.name}-{fingerprint[:12]}") as lock:
        done = lookup.find(ctx, fingerprint)
        if done:
            done = lookup.of_target(done, target)
            return skip(ctx, done, "evaluate", ctx.model.name, f"evaluated in run {done.run_id[:7]}")
        return _evaluate(ctx, target, fingerprint, lock, lambda record: judge_against(ctx, record, opponent))


def judge(ctx: StageContext, judged: Evaluation, opponent: ModelVersion | None) -> Judgment:
    """Apply the config's rules to an evaluated model against an opponent, measured under the same protocol.

    An opponent that cannot be measured fails every rule about it: the champion then keeps serving.
    """
    return judge_against(ctx, judged, _measure_opponent(ctx, opponent, judged.dataset))


def _measure_opponent(ctx: StageContext, opponent: ModelVersion | None, dataset: DatasetVersion) -> Opponent | None:
    if opponent is None:
        return None
    try:
        return Opponent(opponent.version, ensure_evaluated(ctx, registered(ctx, opponent, dataset)))
    except (StageError, UnknownModelError, BundleError, OSError) as error:
        return Opponent(opponent.version, None, str(error))


def ensure_evaluated(ctx: StageContext, target: EvaluationTarget) -> Evaluation:
    """Return a target's evaluation; made now if there is none yet, and then not judged.

    Raises:
        StageError: it cannot be measured.
    """
    fingerprint = lookup.fingerprint(ctx, target)
    with locked(ctx.settings, f"evaluate-{ctx.model.name}-{fingerprint[:12]}") as lock:
        done = lookup.find(ctx, fingerprint)
        if done is None:
            echo(f"evaluate  {ctx.model.name}: measuring {target.name} under the same protocol")
            done = _evaluate(ctx, target, fingerprint, lock)
    return done


def _evaluate(
    ctx: StageContext,
    target: EvaluationTarget,
    fingerprint: str,
    lock: int,
    judged: Callable[[Evaluation], Judgment] | None = None,
) -> Evaluation:
    from gan_models.evaluation.comparison import load_evaluation

    model, tracking, training = ctx.model, ctx.tracking, target.training
    tags = {
        "model": model.name,
        "target": target.name,
        "bundle_digest": target.bundle_digest,
        "training_run": training.run_id if training else None,
        "dataset": target.dataset.name,
        "dataset_version": target.dataset.dvc_md5,
    }
    with stage_run(ctx, model.name, "evaluate", fingerprint, name=model.name, tags=tags) as run_id:
        keep_lineage(tracking, run_id, "evaluate")
        bundle = target.fetch()
        description = read_description(bundle)
        made = description.model_dump(mode="json", include={"recipe", "image", "num_steps"})
        tracking.log_params(run_id, {**model.evaluate.model_dump(mode="json"), **made})
        tracking.log_dataset(run_id, target.dataset, "evaluation")
        if training:
            tracking.log_measured_model(run_id, training.logged_model_id)
        folder = _measure(ctx, target, bundle, fingerprint, lock)
        result, _ = load_evaluation(folder)
        record = Evaluation(
            fingerprint=fingerprint,
            run_id=run_id,
            model_name=model.name,
            target=target.name,
            bundle_digest=target.bundle_digest,
            dataset=target.dataset,
            training=training,
            protocol_id=result.protocol_id,
            metrics={
                metric.key: MetricValue.model_validate(metric.model_dump(include=set(MetricValue.model_fields)))
                for metric in result.metrics
            },
            left_out=result.left_out,
            seconds=ctx.seconds,
        )
        tracking.log_kept(run_id, folder)
        log_numbers(ctx, record, result, folder, step=description.num_steps)
        log_protocol(ctx, record, result)
        judgment = judged(record) if judged else Judgment(())
        champion = judgment.champion
        record = record.model_copy(
            update={
                "verdicts": judgment.verdicts,
                "champion_version": judgment.opponent_version,
                "champion_run_id": champion.run_id if champion else None,
                "champion_metrics": {key: m.value for key, m in champion.metrics.items()} if champion else {},
                "seconds": ctx.seconds,
            }
        )
        log_judgment(ctx, record, judgment)
        report(ctx, record, judgment, folder)
        tracking.finish(record)
    publish(ctx, "evaluate", model.name, record, review_text(record))
    return record


def _measure(ctx: StageContext, target: EvaluationTarget, bundle: Path, fingerprint: str, lock: int) -> Path:
    """Run `python -m gan_models.evaluation` to its end; the folder it wrote.

    Raises:
        StageError: it did not come to a good one; the message says why.
    """
    data = versions.materialize(ctx.settings, target.dataset.name, target.dataset.dvc_md5)
    home = ctx.settings.state / "runs" / fingerprint
    home.mkdir(parents=True, exist_ok=True)
    config = home / "config.yaml"
    write_run_config(ctx.model, config, ctx.settings.root)
    out = home / "evaluation"
    arguments = ["-m", "gan_models.evaluation", "--bundle", str(bundle), "--data", str(data)]
    arguments += [
        "--config",
        str(config),
        "--out",
        str(out),
        "--cache",
        str(ctx.settings.state / "cache" / "features"),
    ]
    log, followed = home / "evaluation.log", FollowedFile(out / "progress.jsonl")
    log.unlink(missing_ok=True)
    try:
        with hold_free_gpu(ctx.settings.gpu_locks) as gpus, progress(f"evaluate {ctx.model.name}") as update:
            watch = lambda: _show_progress(followed, update)  # noqa: E731
            code = run_supervised(arguments, log, evaluation_limits(ctx.settings), lock, watch, gpus=gpus)
    except ChildFailedError as error:
        raise StageError(f"the evaluation of '{ctx.model.name}' {error}") from None
    if code:
        cause = cause_of(code, log, again="run it again to measure it")
        raise StageError(f"the evaluation of '{ctx.model.name}' {cause}")
    return out


def _show_progress(file: FollowedFile, update: Update) -> None:
    for line in file.all_new_lines():
        row = json.loads(line)
        update(row["done"], row["total"], row["what"])
