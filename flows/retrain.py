"""The parent: dataset, train, evaluate, promote, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast

from prefect import Flow, flow
from prefect.states import Completed

from flows.dataset import dataset
from flows.evaluate import evaluate
from flows.evaluations.retrain_summary import outcome, page, tags
from flows.lookup import dataset as dataset_lookup
from flows.lookup import evaluation as evaluation_lookup
from flows.lookup import promotion as promotion_lookup
from flows.lookup import training as training_lookup
from flows.lookup.evaluation_target import trained
from flows.promote import promote
from flows.runtime.deployments import find_deployment, own_work_pool, run_on_worker
from flows.runtime.prefect_runs import in_one_sentence, leave_artifact, leave_records, name_flow_run, tag_flow_run
from flows.runtime.progress import echo
from flows.runtime.records import (
    DatasetVersion,
    Evaluation,
    Promotion,
    Record,
    Retraining,
    Stage,
    TrainingRun,
    by_stage,
)
from flows.tracking.context import StageContext, record_left
from flows.train import train
from gan_models.errors import AtelierError

AnyRecord = TypeVar("AnyRecord", bound=Record)


@flow(name="retrain", description=__doc__)
@in_one_sentence
def retrain(config: str, remote: bool = False) -> Retraining:
    """Bring a model up to date with its data, its config and its code; what is up to date already is skipped.

    Args:
        config: the model's config file, relative to the project.
        remote: run a stage whose deployment has another work pool than this run on a worker of that pool.
    """
    ctx = StageContext.open(config)
    name_flow_run(f"retrain {ctx.model.name}")
    tag_flow_run(tags(ctx))
    if remote:
        retraining = _retrain_on_workers(_Workers(ctx, config))
    else:
        version = dataset(config)
        training = train(config, version)
        evaluation = evaluate(config, training)
        retraining = version, training, evaluation, promote(config, evaluation)
    leave_records(by_stage(retraining))
    leave_artifact(f"retrain-{ctx.model.name}", page(ctx, retraining), description="retrain")
    tag_flow_run(tags(ctx, retraining))
    # Whoever calls the flow gets the data of the state.
    return cast(Retraining, Completed(message=outcome(ctx, retraining), data=retraining))


@dataclass(frozen=True)
class _Workers:
    """The workers that may run the stages of one model."""

    ctx: StageContext
    config: str

    @cached_property
    def own_pool(self) -> str | None:
        return own_work_pool()

    def run(
        self,
        kind: type[AnyRecord],
        stage: Flow[..., AnyRecord],
        find: Callable[[], AnyRecord | None],
        **given: Record,
    ) -> AnyRecord:
        """Run a stage here if this worker serves its pool, and on another worker if it has anything new to do.

        A parent that waited for a run of its own pool might wait for the place that it holds itself.

        Args:
            find: looks whether the stage is done, with the fingerprint that it has in this environment.
            given: the record that the stage works on, by the name of its parameter.
        """
        name, model = cast(Stage, stage.name), self.ctx.model.name
        pool = find_deployment(name, model, self.config).work_pool_name
        if self.own_pool == pool:
            return stage.with_options(flow_run_name=f"{name} {model}")(self.config, **given)
        if done := _asked(find):
            echo(f"{name:<9} {model}: nothing new, in run {done.run_id[:7]}")
            return done.model_copy(update={"skipped": True, "seconds": 0.0})
        run = run_on_worker(
            f"{name}/{model}",
            {"config": self.config, **{key: record.model_dump(mode="json") for key, record in given.items()}},
            key=":".join([name, *(record.fingerprint for record in given.values())]),
            timeout_seconds=self.ctx.settings.stage_timeout_minutes * 60,
        )
        return record_left(self.ctx.tracking, kind, name, run)


def _retrain_on_workers(workers: _Workers) -> Retraining:
    ctx, run = workers.ctx, workers.run
    version = run(DatasetVersion, dataset, lambda: dataset_lookup.find_kept(ctx, dataset_lookup.fingerprint(ctx)))
    training = run(
        TrainingRun,
        train,
        lambda: training_lookup.find(ctx, training_lookup.fingerprint(ctx, version)),
        dataset=version,
    )
    evaluation = run(
        Evaluation,
        evaluate,
        lambda: evaluation_lookup.find(ctx, evaluation_lookup.fingerprint(ctx, trained(ctx, training))),
        training=training,
    )
    evaluation = evaluation_lookup.of_target(evaluation, trained(ctx, training))
    promotion = run(Promotion, promote, lambda: _find_decision(ctx, training, evaluation), evaluation=evaluation)
    return version, training, evaluation, promotion


def _find_decision(ctx: StageContext, training: TrainingRun, evaluation: Evaluation) -> Promotion | None:
    opponent = promotion_lookup.find_opponent(ctx, training)
    return promotion_lookup.find(ctx, promotion_lookup.fingerprint(ctx.model, evaluation, opponent))


def _asked(find: Callable[[], AnyRecord | None]) -> AnyRecord | None:
    """Return what is found here; what cannot be looked for here, as its sources are elsewhere, is for a worker."""
    try:
        return find()
    except AtelierError:
        return None
