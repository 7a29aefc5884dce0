"""The parent: dataset, train, evaluate, promote, one after the other."""

from prefect import flow

from flows.dataset import dataset, dataset_fingerprint, find_dataset
from flows.evaluate import evaluate, evaluation_fingerprint, find_evaluation, find_opponent
from flows.promote import find_promotion, promote, promotion_fingerprint
from flows.runtime.records import DatasetVersion, Evaluation, Promotion, TrainingRun
from flows.tracking.context import call_deployment, enter, name_flow_run
from flows.train import find_training, train, train_fingerprint

Retraining = tuple[DatasetVersion, TrainingRun, Evaluation, Promotion]


@flow(name="retrain", description=__doc__)
def retrain(config: str, remote: bool = False) -> Retraining:
    """Bring a model up to date with its data, its config and its code; what is up to date already is skipped.

    Args:
        config: the model's config file, relative to the project.
        remote: run every stage as a flow run of its own deployment, on the workers, in place of in this process.
    """
    place = enter(config)
    name_flow_run(f"retrain {place.model.name}")
    if remote:
        return _retrain_remotely(config)
    version = dataset(config)
    training = train(config, version)
    evaluation = evaluate(config, training)
    return version, training, evaluation, promote(config, evaluation)


def _retrain_remotely(config: str) -> Retraining:
    place = enter(config)
    model, timeout = place.model, place.settings.stage_timeout_minutes * 60

    mark = dataset_fingerprint(place.settings, model.dataset)
    version = call_deployment("dataset", mark, {"config": config}, timeout, lambda: find_dataset(place, mark))

    mark = train_fingerprint(place, version)
    parameters = {"config": config, "dataset": version.model_dump(mode="json")}
    training = call_deployment("train", mark, parameters, timeout, lambda: find_training(place, mark))

    mark = evaluation_fingerprint(model, training)
    parameters = {"config": config, "training": training.model_dump(mode="json")}
    evaluation = call_deployment("evaluate", mark, parameters, timeout, lambda: find_evaluation(place, mark))

    mark = promotion_fingerprint(model, evaluation, find_opponent(place, training))
    parameters = {"config": config, "evaluation": evaluation.model_dump(mode="json")}
    return (
        version,
        training,
        evaluation,
        call_deployment("promote", mark, parameters, timeout, lambda: find_promotion(place, mark)),
    )
