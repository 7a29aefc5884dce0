"""Where a training run begins: at random weights, or at those of an earlier model.

`train.init_from` is `models:/name@alias`, `models:/name/3`, or the folder of a bundle, relative to the project.
"""

import difflib
import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flows.model_config import ModelConfig
from flows.orchestration import StageError, Workplace
from flows.registry import ModelVersion

_IN_REGISTRY = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[0-9]+))")


@dataclass(frozen=True)
class InitialWeights:
    """A bundle to begin from. `name` is for people, `digest` says which weights they are, `fetch` gives the folder."""

    name: str
    digest: str
    fetch: Callable[[], Path]


def follows_itself(model: ModelConfig) -> bool:
    """Whether a model begins from an alias of its own, such as `models:/<its name>@champion`.

    What the alias points to is then no part of the fingerprint: a promotion would make the next retrain train again,
    with nothing new to learn from.
    """
    return (model.train.init_from or "").startswith(f"models:/{model.name}@")


def find_initial_weights(place: Workplace) -> InitialWeights | None:
    """What the config asks to begin from; None where it asks for nothing, or for a champion that is yet to come.

    Raises:
        StageError: there is no such model, version or folder.
    """
    asked = place.model.train.init_from
    if asked is None:
        return None
    if not asked.startswith("models:"):
        return _in_folder(place, asked)
    parts = _IN_REGISTRY.fullmatch(asked)
    if parts is None:
        raise StageError(f"train.init_from is '{asked}'; write models:/name@champion, models:/name/3, or a folder")
    version = _registered(place, parts["name"], parts["alias"], parts["version"])
    if version is None:
        if follows_itself(place.model):
            return None
        raise StageError(f"train.init_from is '{asked}', which does not exist; {_hint(place, parts['name'])}")
    return InitialWeights(
        name=f"models:/{parts['name']}/{version.version}",
        digest=version.tags.get("bundle_digest", version.logged_model_id),
        fetch=lambda: place.registry.fetch_bundle(version.logged_model_id),
    )


def pin(initial: InitialWeights, folder: Path) -> None:
    """Copy the bundle into a run's own folder: an alias may move before an interrupted run goes on."""
    arriving = folder.with_name(f"{folder.name}.partial")
    for old in (arriving, folder):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(initial.fetch(), arriving)
    arriving.rename(folder)


def _in_folder(place: Workplace, asked: str) -> InitialWeights:
    folder = place.settings.root / asked
    description = folder / "bundle.json"
    if not description.is_file():
        raise StageError(f"train.init_from is '{asked}', and {folder} is not the folder of a bundle (no bundle.json)")
    return InitialWeights(asked, hashlib.sha256(description.read_bytes()).hexdigest(), lambda: folder)


def _registered(place: Workplace, name: str, alias: str | None, version: str | None) -> ModelVersion | None:
    if alias is not None:
        return place.registry.at(name, alias)
    if name not in place.registry.models():
        return None
    return next((known for known in place.registry.versions(name) if known.version == version), None)


def _hint(place: Workplace, name: str) -> str:
    known = place.registry.models()
    if name in known:
        versions = ", ".join(version.version for version in place.registry.versions(name))
        return f"'{name}' has the versions {versions or 'none'}"
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"registered are: {', '.join(known) or 'no models yet'}"
