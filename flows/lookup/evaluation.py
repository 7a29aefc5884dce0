"""Is this model evaluated already?"""

import hashlib

from flows.config.model_config import named_files
from flows.lookup.evaluation_target import EvaluationTarget
from flows.runtime.code_digest import code_digest
from flows.runtime.errors import StageError
from flows.runtime.fingerprint import digest_of
from flows.runtime.records import Evaluation
from flows.tracking.context import StageContext

ENTRY_POINTS = ("gan_models.evaluation.__main__",)


def fingerprint(ctx: StageContext, target: EvaluationTarget) -> str:
    """Return the fingerprint of the evaluate section, the files it names, the weights, the images, the code.

    Raises:
        StageError: a file cannot be read.
    """
    return digest_of(
        model=ctx.model.name,
        config=ctx.model.evaluate,
        bundle=target.bundle_digest,
        data=target.dataset.content_digest,
        code=code_digest(*ENTRY_POINTS),
        **_digests_of_named_files(ctx),
        # A bundle that was also trained here is measured once as each: only the latter's record leads to promotion.
        **({"on_disk": True} if target.training is None else {}),
    )


def find(ctx: StageContext, fingerprint: str) -> Evaluation | None:
    """Return the finished evaluation with this fingerprint."""
    return ctx.tracking.find_finished(Evaluation, ctx.model.name, "evaluate", fingerprint=fingerprint)


def current(ctx: StageContext, target: EvaluationTarget) -> Evaluation:
    """Return the evaluation of a target.

    Raises:
        StageError: it has not been made yet.
    """
    done = find(ctx, fingerprint(ctx, target))
    if done is None:
        raise StageError(f"the present model of '{ctx.model.name}' is not evaluated; run `atelier evaluate` first")
    return done


def _digests_of_named_files(ctx: StageContext) -> dict[str, str]:
    """Return the SHA-256 of each file that the evaluate section names, by its key."""
    digests = {}
    for key, path in named_files(ctx.model).items():
        try:
            digests[key] = hashlib.sha256((ctx.settings.root / path).read_bytes()).hexdigest()
        except OSError as error:
            raise StageError(f"{key} is {path}, which cannot be read: {error.strerror}") from None
    return digests
