"""Is this decision taken already, and which version was to be beaten?"""

from flows.config.model_config import ModelConfig
from flows.runtime.fingerprint import digest_of
from flows.runtime.records import Evaluation, Promotion, TrainingRun
from flows.tracking.context import StageContext
from flows.tracking.registry import ModelVersion


def find_opponent(ctx: StageContext, judged: TrainingRun | None) -> ModelVersion | None:
    """Return the version to be better than: the champion, or what it replaced where the judged model is champion.

    The latter is so when it is measured again, or when an attempt died between moving the alias and recording it.
    """
    champion = ctx.registry.at(ctx.model.name, "champion")
    if champion and judged and champion.logged_model_id == judged.logged_model_id:
        return ctx.registry.at(ctx.model.name, "previous")
    return champion


def fingerprint(model: ModelConfig, judged: Evaluation, opponent: ModelVersion | None) -> str:
    """Return the fingerprint of the evaluation, the rules, and the champion that was to be beaten."""
    return digest_of(
        evaluation=judged.fingerprint, rules=model.promote, opponent=opponent.logged_model_id if opponent else None
    )


def find(ctx: StageContext, fingerprint: str) -> Promotion | None:
    """Return the finished decision with this fingerprint."""
    return ctx.tracking.find_finished(Promotion, ctx.model.name, "promote", fingerprint=fingerprint)
