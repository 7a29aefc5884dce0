"""What an evaluation is about: the model a config makes now, a registered version, or a bundle on disk."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flows.lookup import dataset, training
from flows.runtime.errors import StageError
from flows.runtime.records import DatasetVersion, TrainingRun
from flows.tracking.context import StageContext
from flows.tracking.registry import ModelVersion, UnknownModelError
from gan_models.bundles.description import is_bundle, read_description, read_digest


@dataclass(frozen=True)
class EvaluationTarget:
    """A model, and the dataset version on whose evaluation images it is measured.

    name: for people, such as `models:/digits-generator/3` or the folder of a bundle
    training: the run that made it; None for a bundle on disk, which MLflow knows nothing of
    fetch: gives the folder of its bundle
    """

    name: str
    recipe: str
    bundle_digest: str
    dataset: DatasetVersion
    training: TrainingRun | None
    fetch: Callable[[], Path]


def trained(ctx: StageContext, run: TrainingRun) -> EvaluationTarget:
    """Return the model of a training run as a target, on the data it was trained on."""
    return EvaluationTarget(
        name=f"training run {run.run_id[:7]}",
        recipe=run.recipe,
        bundle_digest=run.bundle_digest,
        dataset=run.dataset,
        training=run,
        fetch=lambda: ctx.registry.fetch_bundle(run.logged_model_id),
    )


def trained_now(ctx: StageContext) -> EvaluationTarget:
    """Return the model of what the config makes now.

    Raises:
        StageError: it has not been made yet.
    """
    return trained(ctx, training.current(ctx, dataset.current(ctx)))


def registered(ctx: StageContext, version: ModelVersion, images: DatasetVersion) -> EvaluationTarget:
    """Return a registered version as a target, on the evaluation images of `images`.

    Raises:
        StageError: its training run is no longer in MLflow.
    """
    run = ctx.tracking.record(TrainingRun, version.tags.get("training_run", ""))
    if run is None:
        raise StageError("its training run is no longer in MLflow")
    return EvaluationTarget(
        name=f"models:/{version.model}/{version.version}",
        recipe=run.recipe,
        bundle_digest=run.bundle_digest,
        dataset=images,
        training=run,
        fetch=lambda: ctx.registry.fetch_bundle(run.logged_model_id),
    )


def on_disk(ctx: StageContext, folder: str, images: DatasetVersion) -> EvaluationTarget:
    """Return the bundle in a folder as a target, absolute or relative to where the command was typed or to the project.

    Raises:
        StageError: the folder holds none.
    """
    places = [Path(folder).absolute(), ctx.settings.root / folder]
    found = next((path for path in places if is_bundle(path)), None)
    if found is None:
        raise StageError(f"{places[0]} is not the folder of a bundle: there is no bundle.json in it")
    return EvaluationTarget(
        name=f"bundle {folder}",
        recipe=read_description(found).recipe.name,
        bundle_digest=read_digest(found),
        dataset=images,
        training=None,
        fetch=lambda: found,
    )


def named(ctx: StageContext, reference: str) -> EvaluationTarget:
    """Return what a person names on the command line, on the evaluation images of the dataset version in use.

    Args:
        reference: `models:/name/3`, `models:/name@alias`, a version of the config's model as a number, or the folder
            of a bundle.

    Raises:
        StageError: there is no such model, version, alias or bundle; the nearest name is offered.
    """
    images = dataset.in_use(ctx)
    if re.fullmatch("[0-9]+", reference):
        reference = f"models:/{ctx.model.name}/{reference}"
    if not reference.startswith("models:"):
        return on_disk(ctx, reference, images)
    try:
        version = ctx.registry.resolve(reference)
    except UnknownModelError as error:
        raise StageError(str(error)) from None
    try:
        return registered(ctx, version, images)
    except StageError as error:
        raise StageError(f"{reference} cannot be measured: {error}") from None
