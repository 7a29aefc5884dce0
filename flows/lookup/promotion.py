"""Is this decision taken already, and which version was to be beaten?"""

from flows.config.model_config import ModelConfig
from flows.runtime.fingerprint import digest_of
from flows.runtime.records import Evaluation, Promotion, TrainingRun
from flows.tracking.context import StageContext
from flows.tracking.registry import ModelVersion


def find_opponent(ctx: StageContext, judged: TrainingRun | None) -> ModelVersion | None:
    """Return the version to be better than: the champion, or what it replaced where the judged model is champion.

    The latter is so when it is measured again, or when an attempt died between moving the alias and recording it. A
    champion whose files are gone can serve nobody, and is none.
    """
    champion = champion_of(ctx, ctx.model.name)
    if champion and judged and champion.logged_model_id == judged.logged_model_id:
        return ctx.registry.at(ctx.model.name, "previous")
    if champion and not ctx.registry.has_files(champion.logged_model_id):
        return None
    return champion


def champion_of(ctx: StageContext, model: str) -> ModelVersion | None:
    """Return the version that the alias names; where someone deleted the alias alone, the last that was promoted."""
    registry = ctx.registry
    last = None if (champion := registry.at(model, "champion")) else last_promoted(ctx, model)
    if last is None or not registry.is_registered(model):
        return champion
    return next((version for version in registry.versions(model) if version.version == last.version), None)


def last_promoted(ctx: StageContext, model: str) -> Promotion | None:
    """Return the last decision that made a champion of a model."""
    decisions = ctx.tracking.finished(Promotion, model, "promote")
    return next((decision for decision, _, _ in decisions if decision.decision == "promoted"), None)


def fingerprint(model: ModelConfig, judged: Evaluation, opponent: ModelVersion | None) -> str:
    """Return the fingerprint of the evaluation, the rules, and the champion that was to be beaten."""
    return digest_of(
        evaluation=judged.fingerprint, rules=model.promote, opponent=opponent.logged_model_id if opponent else None
    )


def find(ctx: StageContext, fingerprint: str) -> Promotion | None:
    """Return the finished decision with this fingerprint; of a promotion, while there is a champion to be served."""
    done = ctx.tracking.find_finished(Promotion, ctx.model.name, "promote", fingerprint=fingerprint)
    if done is None or done.decision != "promoted":
        return done
    champion = ctx.registry.at(ctx.model.name, "champion")
    return done if champion and ctx.registry.has_files(champion.logged_model_id) else None
