"""The parent: dataset, train, evaluate, promote, one after the other."""

from typing import Any

from prefect import flow

from flows.dataset import dataset
from flows.evaluate import evaluate
from flows.lookup import dataset as dataset_lookup
from flows.lookup import evaluation as evaluation_lookup
from flows.lookup import promotion as promotion_lookup
from flows.lookup import training as training_lookup
from flows.lookup.evaluation_target import trained
from flows.lookup.promotion import find_opponent
from flows.promote import promote
from flows.runtime.prefect_runs import call_deployment, name_flow_run
from flows.runtime.records import DatasetVersion, Evaluation, Promotion, TrainingRun
from flows.tracking.context import StageContext
from flows.train import train

Retraining = tuple[DatasetVersion, TrainingRun, Evaluation, Promotion]


@flow(name="retrain", description=__doc__)
def retrain(config: str, remote: bool = False) -> Retraining:
    """Bring a model up to date with its data, its config and its code; what is up to date already is skipped.

    Args:
        config: the model's config file, relative to the project.
        remote: run every stage as a flow run of its own deployment, on the workers, in place of in this process.
    """
    ctx = StageContext.open(config)
    name_flow_run(f"retrain {ctx.model.name}")
    if remote:
        return _retrain_remotely(config)
    version = dataset(config)
    training = train(config, version)
    evaluation = evaluate(config, training)
    return version, training, evaluation, promote(config, evaluation)


def _retrain_remotely(config: str) -> Retraining:
    ctx = StageContext.open(config)
    model, timeout = ctx.model, ctx.settings.stage_timeout_minutes * 60

    wanted = dataset_lookup.fingerprint(ctx)
    parameters: dict[str, Any] = {"config": config}
    version = call_deployment("dataset", wanted, parameters, timeout, lambda: dataset_lookup.find(ctx, wanted))

    to_train = training_lookup.fingerprint(ctx, version)
    parameters = {"config": config, "dataset": version.model_dump(mode="json")}
    training = call_deployment("train", to_train, parameters, timeout, lambda: training_lookup.find(ctx, to_train))

    to_measure = evaluation_lookup.fingerprint(ctx, trained(ctx, training))
    parameters = {"config": config, "training": training.model_dump(mode="json")}
    evaluation = call_deployment(
        "evaluate", to_measure, parameters, timeout, lambda: evaluation_lookup.find(ctx, to_measure)
    )

    to_decide = promotion_lookup.fingerprint(model, evaluation, find_opponent(ctx, training))
    parameters = {"config": config, "evaluation": evaluation.model_dump(mode="json")}
    promotion = call_deployment(
        "promote", to_decide, parameters, timeout, lambda: promotion_lookup.find(ctx, to_decide)
    )
    return version, training, evaluation, promotion
