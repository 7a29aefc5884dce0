"""Is this model trained already?"""

from flows.lookup.initial_weights import find_initial_weights, follows_itself
from flows.runtime.code_digest import code_digest
from flows.runtime.errors import StageError
from flows.runtime.fingerprint import digest_of, torch_version
from flows.runtime.records import DatasetVersion, TrainingRun
from flows.tracking.context import StageContext


def entry_points(recipe: str) -> tuple[str, ...]:
    """Return the modules that a training of a recipe runs."""
    return ("gan_models.training.__main__", f"gan_models.recipes.{recipe}")


def fingerprint(ctx: StageContext, dataset: DatasetVersion) -> str:
    """Return the fingerprint of the train section, the images, the code of its recipe, PyTorch, and initial weights.

    Raises:
        StageError: the model to begin from does not exist.
    """
    initial = None if follows_itself(ctx.model) else find_initial_weights(ctx)
    return digest_of(
        model=ctx.model.name,
        config=ctx.model.train,
        data=dataset.content_digest,
        code=code_digest(*entry_points(ctx.model.train.recipe.name)),
        torch=torch_version(),
        **({"initial": initial.digest} if initial else {}),
    )


def find(ctx: StageContext, fingerprint: str) -> TrainingRun | None:
    """Return the finished training run with this fingerprint, if MLflow has its model still."""
    done = finished(ctx, fingerprint)
    return done if done and ctx.registry.has_files(done.logged_model_id) else None


def finished(ctx: StageContext, fingerprint: str) -> TrainingRun | None:
    """Return the finished training run with this fingerprint, whatever became of its model."""
    return ctx.tracking.find_finished(TrainingRun, ctx.model.name, "train", fingerprint=fingerprint)


def current(ctx: StageContext, dataset: DatasetVersion) -> TrainingRun:
    """Return the training run of what the config makes of a dataset version.

    Raises:
        StageError: it has not been made yet.
    """
    done = find(ctx, fingerprint(ctx, dataset))
    if done is None:
        raise StageError(f"'{ctx.model.name}' is not trained on its present data; run `atelier train` first")
    return done
