"""Where a training run begins: at random weights, or at those of an earlier model.

`train.init_from` is `models:/name@alias`, `models:/name/3`, or the folder of a bundle, relative to the project.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flows.config.model_config import REFERENCE, ModelConfig
from flows.lookup.promotion import champion_of, find_opponent, last_promoted
from flows.runtime.errors import StageError
from flows.tracking.context import StageContext
from flows.tracking.registry import ModelVersion, UnknownModelError
from gan_models.bundles.description import is_bundle, read_digest


@dataclass(frozen=True)
class InitialWeights:
    """A bundle to begin from. `name` is for people, `digest` says which weights they are, `fetch` gives the folder."""

    name: str
    digest: str
    fetch: Callable[[], Path]


def follows_itself(model: ModelConfig) -> bool:
    """Return whether a model begins from an alias of its own, such as `models:/<its name>@champion`.

    What the alias points to is then no part of the fingerprint: a promotion would make the next retrain train again,
    with nothing new to learn from.
    """
    parts = REFERENCE.fullmatch(model.train.init_from or "")
    return parts is not None and parts["name"] == model.name and parts["alias"] is not None


def find_initial_weights(ctx: StageContext) -> InitialWeights | None:
    """Return what the config asks to begin from; None where that is nothing, or its own champion, and there is none.

    A champion is the version that the stage promote would take for it: one whose alias alone was deleted is champion
    still, and one that was deleted, or has lost its files, is none.

    Raises:
        StageError: there is no such model, version or folder.
    """
    asked = ctx.model.train.init_from
    if asked is None:
        return None
    if not asked.startswith("models:"):
        return _in_folder(ctx, asked)
    if asked == f"models:/{ctx.model.name}@champion":
        champion = find_opponent(ctx, None)
        return _registered(ctx, champion) if champion else None
    parts = REFERENCE.fullmatch(asked)
    if parts and parts["alias"] == "champion" and (other := champion_of(ctx, parts["name"])):
        return _registered(ctx, other)
    try:
        return _registered(ctx, ctx.registry.resolve(asked))
    except UnknownModelError as error:
        raise StageError(f"train.init_from cannot be begun from: {error}") from None


def why_from_scratch(ctx: StageContext) -> str:
    """Return why there is no champion to begin from."""
    last = last_promoted(ctx, ctx.model.name)
    return f"the champion, version {last.version}, was deleted or has lost its files" if last else "no champion yet"


def _registered(ctx: StageContext, version: ModelVersion) -> InitialWeights:
    return InitialWeights(
        name=f"models:/{version.model}/{version.version}",
        digest=version.tags.get("bundle_digest", version.logged_model_id),
        fetch=lambda: ctx.registry.fetch_bundle(version.logged_model_id),
    )


def pin(initial: InitialWeights, folder: Path) -> None:
    """Copy the bundle into a run's own folder: an alias may move before an interrupted run goes on."""
    arriving = folder.with_name(f"{folder.name}.partial")
    for old in (arriving, folder):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(initial.fetch(), arriving)
    arriving.rename(folder)


def _in_folder(ctx: StageContext, asked: str) -> InitialWeights:
    folder = ctx.settings.root / asked
    if not is_bundle(folder):
        raise StageError(f"train.init_from is '{asked}', and {folder} is not the folder of a bundle (no bundle.json)")
    return InitialWeights(asked, read_digest(folder), lambda: folder)
