"""What an evaluation is about: the model a config makes now, a registered version, or a bundle on disk."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.runtime.records import DatasetVersion, TrainingRun
from flows.tracking.context import StageError, Workplace
from flows.tracking.registry import ModelVersion, UnknownModelError
from flows.train import current_dataset, find_training, train_fingerprint


@dataclass(frozen=True)
class Subject:
    """A model, and the dataset version on whose evaluation images it is measured.

    name: for people, such as `models:/digits-generator/3` or the folder of a bundle
    training: the run that made it; None for a bundle on disk, which MLflow knows nothing of
    fetch: gives the folder of its bundle
    """

    name: str
    bundle_digest: str
    dataset: DatasetVersion
    training: TrainingRun | None
    fetch: Callable[[], Path]


def trained(place: Workplace, training: TrainingRun) -> Subject:
    """The model of a training run, on the data it was trained on."""
    return Subject(
        name=f"training run {training.run_id[:7]}",
        bundle_digest=training.bundle_digest,
        dataset=training.dataset,
        training=training,
        fetch=lambda: place.registry.fetch_bundle(training.logged_model_id),
    )


def trained_now(place: Workplace) -> Subject:
    """The model of what the config makes now.

    Raises:
        StageError: it has not been made yet.
    """
    done = find_training(place, train_fingerprint(place, current_dataset(place)))
    if done is None:
        raise StageError(f"'{place.model.name}' is not trained on its present data; run `atelier train` first")
    return trained(place, done)


def registered(place: Workplace, version: ModelVersion, dataset: DatasetVersion) -> Subject:
    """A registered version, on the evaluation images of `dataset`.

    Raises:
        StageError: its training run is no longer in MLflow.
    """
    training = place.tracking.record(TrainingRun, version.tags.get("training_run", ""))
    if training is None:
        raise StageError("its training run is no longer in MLflow")
    return Subject(
        name=f"models:/{version.model}/{version.version}",
        bundle_digest=training.bundle_digest,
        dataset=dataset,
        training=training,
        fetch=lambda: place.registry.fetch_bundle(training.logged_model_id),
    )


def on_disk(place: Workplace, folder: str, dataset: DatasetVersion) -> Subject:
    """The bundle in a folder, absolute or relative to where the command was typed or to the project.

    Raises:
        StageError: the folder holds none.
    """
    places = [Path(folder).absolute(), place.settings.root / folder]
    found = next((path for path in places if (path / "bundle.json").is_file()), None)
    if found is None:
        raise StageError(f"{places[0]} is not the folder of a bundle: there is no bundle.json in it")
    digest = hashlib.sha256((found / "bundle.json").read_bytes()).hexdigest()
    return Subject(f"bundle {folder}", digest, dataset, training=None, fetch=lambda: found)


def named(place: Workplace, reference: str) -> Subject:
    """What a person names on the command line, on the config's present evaluation images.

    Args:
        reference: `models:/name/3`, `models:/name@alias`, a version of the config's model as a number, or the folder
            of a bundle.

    Raises:
        StageError: there is no such model, version, alias or bundle; the nearest name is offered.
    """
    dataset = current_dataset(place)
    if re.fullmatch("[0-9]+", reference):
        reference = f"models:/{place.model.name}/{reference}"
    if not reference.startswith("models:"):
        return on_disk(place, reference, dataset)
    try:
        version = place.registry.resolve(reference)
    except UnknownModelError as error:
        raise StageError(str(error)) from None
    try:
        return registered(place, version, dataset)
    except StageError as error:
        raise StageError(f"{reference} cannot be measured: {error}") from None


def bundle_facts(bundle: Path) -> dict[str, Any]:
    """What `bundle.json` says of the model's making: recipe, images, number of steps.

    Raises:
        StageError: it is missing or no JSON.
    """
    try:
        content = json.loads((bundle / "bundle.json").read_text())
        return {part: content[part] for part in ("recipe", "image", "num_steps")}
    except (OSError, ValueError, KeyError, TypeError):
        raise StageError(f"{bundle} is not a usable bundle: its bundle.json cannot be read") from None
