"""Stage four: one evaluated model in, a decision out, and the champion's alias moved if it is better."""

from prefect import flow

from flows.evaluate import judge
from flows.evaluations.model_card import write_card
from flows.lookup import evaluation as evaluation_lookup
from flows.lookup import promotion as lookup
from flows.lookup.evaluation_target import trained_now
from flows.runtime.errors import StageError
from flows.runtime.locks import locked
from flows.runtime.prefect_runs import in_one_sentence, name_flow_run
from flows.runtime.progress import echo
from flows.runtime.records import Evaluation, Promotion, TrainingRun, Verdict
from flows.tracking.context import StageContext, publish, skip, stage_run
from flows.tracking.registry import Alias, ModelVersion
from gan_models.escaping import for_markdown


class ChampionChangedError(StageError):
    """Another version became champion after the comparison was made; the message names both."""


@flow(name="promote", description=__doc__)
@in_one_sentence
def promote(config: str, evaluation: Evaluation | None = None) -> Promotion:
    """Register a model version, apply the config's rules, and promote the version to champion if all of them hold.

    Args:
        config: the model's config file, relative to the project.
        evaluation: the evaluation to decide on; without it that of what the config makes now.
    """
    ctx = StageContext.open(config)
    model = ctx.model
    judged = evaluation or evaluation_lookup.current(ctx, trained_now(ctx))
    if judged.training is None:
        raise StageError(f"{judged.target} was not trained here, so there is nothing to register; train it first")
    with locked(ctx.settings, f"promote-{model.name}"):
        _tell_of_a_lost_champion(ctx)
        while True:
            try:
                return _promote(ctx, judged, judged.training)
            except ChampionChangedError as changed:
                echo(f"promote   {model.name}: {changed}")


def _promote(ctx: StageContext, judged: Evaluation, training: TrainingRun) -> Promotion:
    opponent = lookup.find_opponent(ctx, training)
    fingerprint = lookup.fingerprint(ctx.model, judged, opponent)
    name_flow_run(f"promote {ctx.model.name} {fingerprint[:7]}")
    done = lookup.find(ctx, fingerprint)
    if done:
        return skip(ctx, done, "promote", ctx.model.name, f"version {done.version}: {done.decision}")
    return _decide(ctx, judged, training, opponent, fingerprint)


def _decide(
    ctx: StageContext, judged: Evaluation, training: TrainingRun, opponent: ModelVersion | None, fingerprint: str
) -> Promotion:
    model, registry = ctx.model, ctx.registry
    tags = {"model": model.name, "training_run": training.run_id, "evaluation_run": judged.run_id}
    with stage_run(ctx, model.name, "promote", fingerprint, name=model.name, tags=tags) as run_id:
        verdicts = judge(ctx, judged, opponent).verdicts
        passed = all(verdict.passed for verdict in verdicts)
        ctx.tracking.check_current(run_id)
        version = registry.register(
            model.name,
            training.logged_model_id,
            run_id=training.run_id,
            description=model.description,
            tags=_lineage(judged, training, ctx.tracking.tags(training.run_id)),
        )
        decision = Promotion(
            fingerprint=fingerprint,
            run_id=run_id,
            model_name=model.name,
            version=version,
            decision="promoted" if passed else "kept champion" if opponent else "rejected",
            reason=_reason(verdicts),
            verdicts=verdicts,
            replaced_version=opponent.version if passed and opponent else None,
            seconds=ctx.seconds,
        )
        _check_opponent(ctx, training, opponent)
        _move_aliases(ctx, decision)
        ctx.tracking.check_current(run_id)
        registry.annotate(
            model.name,
            version,
            description=write_card(ctx, judged, training, decision),
            tags={"decision": decision.decision, "promotion_run": run_id},
        )
        ctx.tracking.log_params(run_id, {"version": version, "decision": decision.decision})
        ctx.tracking.log_table(run_id, [verdict.model_dump() for verdict in verdicts], "rules.json")
        ctx.tracking.describe(run_id, _markdown(decision, verdicts))
        ctx.tracking.finish(decision)
    echo(f"promote   {model.name}: version {version} {decision.decision}, {decision.reason}")
    publish(ctx, "promote", model.name, decision, _markdown(decision, verdicts))
    return decision


def _check_opponent(ctx: StageContext, training: TrainingRun, opponent: ModelVersion | None) -> None:
    """Raise a ChampionChangedError where the model would now be compared with another version than it was."""
    present = lookup.find_opponent(ctx, training)
    was, became = (f"version {version.version}" if version else "none" for version in (opponent, present))
    if was != became:
        raise ChampionChangedError(f"the champion to beat was {was} and is now {became}; it is decided again")


def _tell_of_a_lost_champion(ctx: StageContext) -> None:
    """Say what of the champion someone deleted; where only the alias is gone, set it again."""
    name, registry = ctx.model.name, ctx.registry
    champion = lookup.champion_of(ctx, name)
    if champion and registry.at(name, "champion") is None:
        registry.point(name, "champion", champion.version)
        echo(f"promote   {name}: nothing was champion; version {champion.version}, promoted last, is it again")
    if champion and not registry.has_files(champion.logged_model_id):
        echo(f"promote   {name}: champion version {champion.version} cannot be served, its files are gone")
    if champion is None and (last := lookup.last_promoted(ctx, name)):
        echo(f"promote   {name}: the champion, version {last.version}, was deleted; this model is decided on alone")


def _move_aliases(ctx: StageContext, decision: Promotion) -> None:
    """`previous` first: whenever this is interrupted, `champion` points to a version that was evaluated."""
    model, registry = ctx.model.name, ctx.registry

    def point(alias: Alias, version: str | None) -> None:
        ctx.tracking.check_current(decision.run_id)
        registry.point(model, alias, version)

    if decision.decision != "promoted":
        champion = registry.at(model, "champion")
        if champion is None or champion.version != decision.version:  # a champion judged again is no challenger
            point("challenger", decision.version)
        return
    if decision.replaced_version:
        point("previous", decision.replaced_version)
    point("champion", decision.version)
    challenger = registry.at(model, "challenger")
    if challenger and challenger.version == decision.version:
        point("challenger", None)


def _lineage(judged: Evaluation, training: TrainingRun, run_tags: dict[str, str]) -> dict[str, str]:
    """Tags by which a person gets from a version to everything it was made of."""
    return {
        "training_run": training.run_id,
        "evaluation_run": judged.run_id,
        "config": f"runs:/{training.run_id}/config.yaml",
        "dataset": training.dataset.name,
        "dataset_version": training.dataset.dvc_md5,
        "git_commit": run_tags.get("git_commit", "none"),
        "fingerprint": training.fingerprint,
        "bundle_digest": training.bundle_digest,
        "initial_model": run_tags.get("initial_model", "none"),
        "recipe": training.recipe,
    }


def _reason(verdicts: tuple[Verdict, ...]) -> str:
    failed = [f"{verdict.rule}: {verdict.reason}" for verdict in verdicts if not verdict.passed]
    return "; ".join(failed) if failed else f"all {len(verdicts)} rules hold"


def _markdown(decision: Promotion, verdicts: tuple[Verdict, ...]) -> str:
    rows = [
        f"| {'holds' if v.passed else '**fails**'} | {for_markdown(v.rule)} | {for_markdown(v.reason)} |"
        for v in verdicts
    ]
    head = f"Version {decision.version} of **{decision.model_name}**: **{decision.decision}**."
    return "\n".join([head, "", "| | rule | why |", "| --- | --- | --- |", *rows])
