"""Is this model evaluated already?"""

import hashlib

from flows.config.model_config import ModelConfig, named_files
from flows.lookup.evaluation_target import EvaluationTarget
from flows.runtime.code_digest import code_digest
from flows.runtime.errors import StageError
from flows.runtime.fingerprint import digest_of
from flows.runtime.records import Evaluation
from flows.tracking.context import StageContext
from gan_models.config import Task
from gan_models.config.evaluate import library_version
from gan_models.evaluation.measurable import measurable
from gan_models.evaluation.metrics.catalog import METRICS


def entry_points(recipe: str, task: Task) -> tuple[str, ...]:
    """Return the modules that an evaluation of a model of a recipe runs."""
    return ("gan_models.evaluation.__main__", f"gan_models.evaluation.tasks.{task}", f"gan_models.recipes.{recipe}")


def fingerprint(ctx: StageContext, target: EvaluationTarget) -> str:
    """Return the fingerprint of the evaluate section, the files it names, the weights, the images, the code.

    The library of the network that distances are measured in counts too: comparisons are of one measure.

    Raises:
        StageError: a file cannot be read.
    """
    return digest_of(
        model=ctx.model.name,
        config=ctx.model.evaluate,
        bundle=target.bundle_digest,
        data=target.dataset.content_digest,
        code=code_digest(*entry_points(target.recipe, ctx.model.train.recipe.task)),
        metrics=_facts_of_metrics(ctx.model),
        library=library_version(ctx.model.evaluate.extractor.name),
        **_digests_of_named_files(ctx),
        # A bundle that was also trained here is measured once as each: only the latter's record leads to promotion.
        **({"on_disk": True} if target.training is None else {}),
    )


def find(ctx: StageContext, fingerprint: str) -> Evaluation | None:
    """Return the finished evaluation with this fingerprint."""
    return ctx.tracking.find_finished(Evaluation, ctx.model.name, "evaluate", fingerprint=fingerprint)


def of_target(done: Evaluation, target: EvaluationTarget) -> Evaluation:
    """Return an evaluation as one of the training that is asked for: the same weights may have been trained again."""
    if target.training is None or done.training == target.training:
        return done
    return done.model_copy(update={"training": target.training})


def current(ctx: StageContext, target: EvaluationTarget) -> Evaluation:
    """Return the evaluation of a target.

    Raises:
        StageError: it has not been made yet.
    """
    done = find(ctx, fingerprint(ctx, target))
    if done is None:
        raise StageError(f"the present model of '{ctx.model.name}' is not evaluated; run `atelier evaluate` first")
    return of_target(done, target)


def _facts_of_metrics(model: ModelConfig) -> dict[str, list[object]]:
    """Return what the catalog says of each metric of a config's models, but for the words."""
    names = {name for part in measurable(model.train, model.evaluate).parts for name in part.names}
    kinds = [METRICS[name] for name in names]
    return {kind.name: [kind.unit, kind.higher_is_better, kind.min_side, kind.min_images] for kind in kinds}


def _digests_of_named_files(ctx: StageContext) -> dict[str, str]:
    """Return the SHA-256 of each file that the evaluate section names, by its key."""
    digests = {}
    for key, path in named_files(ctx.model).items():
        try:
            digests[key] = hashlib.sha256((ctx.settings.root / path).read_bytes()).hexdigest()
        except OSError as error:
            raise StageError(f"{key} is {path}, which cannot be read: {error.strerror}") from None
    return digests
