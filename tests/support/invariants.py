"""What has to be true after every fault (docs of the tests in tests/faults), checked on a project's real MLflow."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from flows.datasets.withdrawal_ledger import ListChange
from flows.runtime.records import DatasetVersion, Evaluation, Promotion, Record, TrainingRun
from flows.tracking.context import StageContext
from flows.tracking.registry import ModelVersion
from flows.tracking.runs import DATASETS_EXPERIMENT
from gan_models.bundles.bundle import load_bundle
from tests.support.checked import present

Outcome = TypeVar("Outcome")

RECORDS: dict[str, type[Record]] = {
    "dataset": DatasetVersion,
    "train": TrainingRun,
    "evaluate": Evaluation,
    "promote": Promotion,
    "withdrawal": ListChange,
}


@dataclass(frozen=True)
class MlflowState:
    """What a person sees of a model: its aliases, the model of each version, the finished work of each stage."""

    aliases: dict[str, str]
    versions: dict[str, str]
    finished: Counter[tuple[str, str]]


def check_invariants(
    config: str,
    *,
    champion: str | None,
    again: Callable[[], Outcome],
    told: str | None = None,
    may_be_replaced: bool = False,
) -> Outcome:
    """Check the five things that hold after every fault, in the project that this process works in.

    Args:
        champion: the version that was champion before the fault.
        again: does what a person or a schedule does after it.
        told: what a person was shown of it; None where nobody was to notice.
        may_be_replaced: whether another version than `champion` may have been promoted by then.

    Returns:
        What `again` came to.
    """
    ctx = StageContext.open(config)
    _check_champion(ctx)
    _check_what_claims_success(ctx)
    serving = ctx.registry.at(ctx.model.name, "champion")
    if champion and not may_be_replaced:
        assert serving is not None, "the old champion keeps serving"
        assert serving.version == champion, "the old champion keeps serving"
    assert champion is None or serving, "where there was a champion, there is one"
    if told is not None:
        _check_cause(told)
    came_to = again()
    state = mlflow_state(ctx)
    again()
    assert mlflow_state(ctx) == state, "the first time made good what was left to do, and running again changes nothing"
    _check_champion(ctx)
    _check_what_claims_success(ctx)
    assert not [work for work, times in state.finished.items() if times > 1], "no work is finished twice"
    assert len(set(state.versions.values())) == len(state.versions), "no model has two versions"
    return came_to


def mlflow_state(ctx: StageContext) -> MlflowState:
    """What is to be the same after running again."""
    name = ctx.model.name
    return MlflowState(
        ctx.registry.aliases(name),
        {version.version: version.tags["bundle_digest"] for version in ctx.registry.versions(name)},
        Counter((stage, tags["fingerprint"]) for stage, tags in _finished(ctx)),
    )


def _check_champion(ctx: StageContext) -> None:
    champion = ctx.registry.at(ctx.model.name, "champion")
    if champion is None:
        return
    bundle = load_bundle(ctx.registry.fetch_bundle(champion.logged_model_id))
    assert bundle.digest == champion.tags["bundle_digest"], "the champion loads, and is what its version says"
    _check_version(ctx, champion)


def _check_version(ctx: StageContext, version: ModelVersion) -> None:
    evaluation = present(ctx.tracking.record(Evaluation, version.tags["evaluation_run"]))
    training = present(ctx.tracking.record(TrainingRun, version.tags["training_run"]))
    assert evaluation.bundle_digest == training.bundle_digest == version.tags["bundle_digest"]
    assert training.dataset.dvc_md5 == version.tags["dataset_version"]
    assert evaluation.metrics


def _check_what_claims_success(ctx: StageContext) -> None:
    for stage, tags in _finished(ctx):
        record = ctx.tracking.record(RECORDS[stage], tags["run_id"])
        assert record is not None, f"a {stage} run that is finished has a record"
        for digest in (key for key in ("bundle_digest", "dvc_md5") if hasattr(record, key)):
            assert getattr(record, digest), f"a {stage} run that is finished has a {digest}"
        if isinstance(record, TrainingRun):
            assert ctx.tracking.client.get_run(record.run_id).data.metrics, "a training that is finished has metrics"
            assert ctx.registry.fetch_bundle(record.logged_model_id).exists(), "and a model that can be had"
        if isinstance(record, Evaluation):
            assert record.metrics, "an evaluation that is finished has metrics"
    for version in ctx.registry.versions(ctx.model.name) if ctx.registry.is_registered(ctx.model.name) else []:
        _check_version(ctx, version)


def _finished(ctx: StageContext) -> list[tuple[str, dict[str, str]]]:
    """The stage and the tags of every finished run, and its id as one of them."""
    client = ctx.tracking.client
    experiments = [client.get_experiment_by_name(name) for name in (DATASETS_EXPERIMENT, ctx.model.name)]
    found = client.search_runs(
        [experiment.experiment_id for experiment in experiments if experiment],
        "attributes.status = 'FINISHED'",
        max_results=1000,
    )
    return [(run.data.tags["stage"], {**run.data.tags, "run_id": run.info.run_id}) for run in found]


def _check_cause(told: str) -> None:
    lines = [line for line in told.strip().splitlines() if line.startswith("error: ")] or told.strip().splitlines()
    assert len(lines) == 1, f"a person sees one cause: {told}"
    assert "Traceback" not in told
    assert len(lines[0]) > 20, f"and what to do: {told}"
