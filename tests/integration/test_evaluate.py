"""Evaluation as a stage: hard models and hard limits end in a failed run with its reason, and running again works."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient
from prefect.settings import PREFECT_API_URL

from flows.cli.evaluate import Assessment, assess
from flows.evaluate import evaluate
from flows.promote import promote
from flows.retrain import retrain
from flows.runtime.errors import StageError
from flows.runtime.records import Retraining, TrainingRun
from flows.tracking.context import StageContext
from flows.tracking.registry import Registry
from gan_models.bundles.bundle import load_bundle, save_bundle
from gan_models.config import ConfigError, ImageConfig, RestoreConfig
from gan_models.recipes import build_generator
from tests.support.checked import present
from tests.support.project import Project, Snapshot, make_project, point_environment

pytestmark = pytest.mark.usefixtures("prefect_server")

RULES = [
    {"metric": "diversity", "at_least": 0.5, "of": "baseline"},
    {"metric": "diversity", "not_worse_than": "champion"},
]


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, prefect_server: str
) -> tuple[Snapshot, Retraining]:
    """A project whose first generator has been made and promoted, and what was made."""
    project = make_project(tmp_path_factory.mktemp("world") / "project", empty_database)
    project.edit("promote", rules=[{"metric": "diversity", "at_least": 0.0}])
    with pytest.MonkeyPatch.context() as monkeypatch:
        point_environment(monkeypatch, project)
        retraining = retrain(project.config)
    project.edit("promote", rules=RULES)
    return Snapshot(project, tmp_path_factory.mktemp("made")), retraining


@pytest.fixture
def world(made: tuple[Snapshot, Retraining], monkeypatch: pytest.MonkeyPatch) -> Project:
    snapshot, _ = made
    point_environment(monkeypatch, snapshot.project)
    return snapshot.restore()


@pytest.fixture
def champion(made: tuple[Snapshot, Retraining]) -> Retraining:
    return made[1]


@pytest.fixture
def bundle(champion: Retraining, world: Project) -> Path:
    """The champion's bundle."""
    ctx = StageContext.open(world.config)
    return ctx.registry.fetch_bundle(champion[1].logged_model_id)


def spoilt(bundle: Path, folder: Path, value: float, *, everywhere: bool = False) -> Path:
    """A bundle like another, but for the first ten weights, or all of them."""
    model = load_bundle(bundle)
    with torch.no_grad():
        first, *_ = parameters = list(model.network.parameters())
        for weights in parameters if everywhere else [first.view(-1)[:10]]:
            weights.fill_(value)
    kept = ("recipe", "image", "label_names", "num_steps", "config_digest")
    parts = {name: getattr(model.description, name) for name in kept}
    save_bundle(folder, model.network, **parts, data_digest="0")
    return folder


def last_run(world: Project) -> tuple[str, str]:
    """Status and reason of the evaluation that began last."""
    client = MlflowClient()
    experiment = present(client.get_experiment_by_name("tiny-digits")).experiment_id
    (run,) = client.search_runs(
        [experiment], "tags.stage = 'evaluate'", order_by=["attributes.start_time DESC"], max_results=1
    )
    return run.info.status, run.data.tags.get("reason", "")


def ask(world: Project, model: str | None = None, against: str | None = None) -> Assessment:
    return assess(world.config, model, against)


# What can be measured


def test_a_registered_version_is_measured_once_by_whatever_name(world: Project, champion: Retraining):
    by_alias = ask(world, "models:/tiny-digits@champion")
    assert by_alias.record.run_id == champion[2].run_id
    assert ask(world, "models:/tiny-digits/1").record.run_id == ask(world, "1").record.run_id == champion[2].run_id
    assert by_alias.record.skipped


def test_a_bundle_on_disk_is_measured_and_its_run_says_which(world: Project, bundle: Path, tmp_path: Path):
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    found = ask(world, str(copy), against="models:/tiny-digits@champion")
    assert found.record.target == f"bundle {copy}"
    assert {d.verdict for d in found.differences if d.name == "diversity"} == {"tie"}, "it is the champion's own"
    tags = MlflowClient().get_run(found.record.run_id).data.tags
    assert tags["target"] == f"bundle {copy}"
    assert "training_run" not in tags
    with pytest.raises(StageError, match="was not trained here, so there is nothing to register"):
        promote(world.config, found.record)


def test_the_answer_as_json_has_intervals_verdicts_and_differences(world: Project, champion: Retraining):
    answer = ask(world, "1", against="models:/tiny-digits/1").as_json()
    diversity = answer["metrics"]["diversity"]
    assert diversity["low"] <= diversity["value"] <= diversity["high"]
    assert diversity["baseline"] > 0
    assert [verdict["rule"] for verdict in answer["verdicts"]] == [
        "diversity at least 0.5 x baseline",
        "diversity not worse than the champion",
    ]
    assert answer["against"]["differences"]["diversity"]["value"] == 0.0


def evaluate_command(world: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("atelier")), "evaluate", world.config, *arguments],
        env={**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value()},
        cwd=world.root,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_command_prints_the_verdicts_for_a_person(world: Project):
    told = evaluate_command(world, "--model", "1", "--against", "1").stdout
    assert "nothing new" in told
    assert "diversity at least 0.5 x baseline" in told
    assert "tie" in told


def test_what_is_registered_is_measured_on_the_version_in_use_no_source_is_opened_and_json_is_printed_alone(
    world: Project, champion: Retraining
):
    shutil.rmtree(world.images)
    world.edit("evaluate", num_images=20)  # so that both are measured again
    done = evaluate_command(world, "--model", "1", "--against", "models:/tiny-digits@champion", "--json")
    answer = json.loads(done.stdout)
    assert answer["dataset"] == {"name": "tiny", "version": champion[0].dvc_md5}
    assert answer["against"]["differences"]["diversity"]["verdict"] == "tie"


# What is in MLflow


def test_the_run_has_numbers_tables_pictures_protocol_and_tags(world: Project, champion: Retraining):
    _, training, evaluation, _ = champion
    client = MlflowClient()
    run = client.get_run(evaluation.run_id)
    assert {"diversity", "diversity_low", "diversity_high", "rules_that_hold"} <= set(run.data.metrics)
    assert [point.step for point in client.get_metric_history(evaluation.run_id, "diversity")] == [12]
    artifacts = {file.path for file in client.list_artifacts(evaluation.run_id)}
    assert {"metrics.json", "slices.json", "rules.json", "protocol.json", "report.html", "images"} <= artifacts
    assert {"protocol_id", "extractor", "num_images", "split_digest"} <= set(run.data.tags)
    assert run.data.params["recipe.name"] == "dcgan"
    assert [model.model_id for model in present(run.inputs).model_inputs] == [training.logged_model_id]
    (measured,) = [
        m for m in present(client.get_logged_model(training.logged_model_id).metrics) if m.key == "diversity"
    ]
    assert (measured.dataset_name, measured.dataset_digest) == ("tiny", evaluation.dataset.dvc_md5)


def test_the_version_has_a_model_card(world: Project, champion: Retraining):
    _, training, _, promotion = champion
    client = MlflowClient()
    text = present(client.get_model_version("tiny-digits", promotion.version).description)
    assert text.startswith("# tiny-digits, version 1")
    assert "diversity at least 0" in text
    assert "model_card.md" in {file.path for file in client.list_logged_model_artifacts(training.logged_model_id)}
    assert "model_card.md" in {file.path for file in client.list_artifacts(promotion.run_id)}


# What cannot


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("models:/tiny-digit/1", "no model 'tiny-digit' is registered; did you mean 'tiny-digits'?"),
        ("models:/tiny-digits/9", "'tiny-digits' has no version 9; it has 1"),
        ("models:/tiny-digits@champoin", "'tiny-digits' has no alias 'champoin'; did you mean 'champion'?"),
        ("models:tiny-digits", "'models:tiny-digits' names no model; write models:/name/3 or models:/name@champion"),
        ("nowhere/bundle", "is not the folder of a bundle: there is no bundle.json in it"),
    ],
)
def test_what_is_not_there_is_refused_with_the_nearest(
    world: Project, champion: Retraining, reference: str, message: str
):
    for asked in ({"model": reference}, {"against": reference}):
        with pytest.raises(StageError) as refused:
            ask(world, **asked)
        assert message in str(refused.value)


def untrained_restorer(folder: Path, size: int) -> Path:
    recipe, image = RestoreConfig(width=4, blocks=(1, 1)), ImageConfig(size=size, channels=1, fit="crop")
    network = build_generator(recipe, image, 0)
    facts = {"num_steps": 1, "config_digest": "0", "data_digest": "0"}
    save_bundle(folder, network, recipe=recipe, image=image, label_names=(), **facts)
    return folder


def test_a_bundle_of_another_task_is_refused(world: Project, champion: Retraining, tmp_path: Path):
    with pytest.raises(StageError, match=r"of a model to restore images, and this config of one to generate"):
        ask(world, str(untrained_restorer(tmp_path / "bundle", 8)))
    status, reason = last_run(world)
    assert status == "FAILED"
    assert "to restore" in reason


def test_a_bundle_whose_images_the_data_cannot_give_is_refused(world: Project, champion: Retraining, tmp_path: Path):
    big = for_other_images(
        tmp_path / "bundle", StageContext.open(world.config).registry.fetch_bundle(champion[1].logged_model_id)
    )
    with pytest.raises(StageError, match=r"takes 64x64x1 images \(crop\), and this data cannot give them: .*8x8"):
        ask(world, str(big))


def for_other_images(folder: Path, bundle: Path) -> Path:
    recipe = load_bundle(bundle).recipe
    image = ImageConfig(size=64, channels=1, fit="crop")
    facts = {"num_steps": 1, "config_digest": "0", "data_digest": "0"}
    names = load_bundle(bundle).label_names
    save_bundle(
        folder, build_generator(recipe, image, len(names)), recipe=recipe, image=image, label_names=names, **facts
    )
    return folder


def test_weights_that_are_not_finite_fail_with_their_count(world: Project, bundle: Path, tmp_path: Path):
    with pytest.raises(StageError, match="10 weights of the model are not finite; nothing was measured"):
        ask(world, str(spoilt(bundle, tmp_path / "nan", float("nan"))))
    assert last_run(world)[0] == "FAILED"


def test_a_collapsed_generator_fails_the_rule_on_diversity(world: Project, bundle: Path, tmp_path: Path):
    found = ask(world, str(spoilt(bundle, tmp_path / "constant", 0.0, everywhere=True)), against="1")
    verdicts = {verdict.rule: verdict.passed for verdict in found.verdicts}
    assert verdicts["diversity at least 0.5 x baseline"] is False
    assert {d.key: d.verdict for d in found.differences}["diversity"] == "worse"


def test_a_collapsed_generator_is_never_promoted(world: Project, champion: Retraining, bundle: Path, tmp_path: Path):
    ctx = StageContext.open(world.config)
    constant = spoilt(bundle, tmp_path / "bundle", 0.0, everywhere=True)
    training = champion[1]
    logged = ctx.registry.log_model(training.run_id, constant, name="tiny-digits", params={})
    collapsed = TrainingRun.model_validate({**training.model_dump(), "logged_model_id": logged, "bundle_digest": "c0"})
    promotion = promote(world.config, evaluate(world.config, collapsed))
    assert promotion.decision == "kept champion"
    assert present(Registry(ctx.tracking).at("tiny-digits", "champion")).version == "1"
    card = present(MlflowClient().get_model_version("tiny-digits", promotion.version).description)
    assert "Fails the rule diversity at least 0.5 x baseline" in card


def test_a_memory_limit_fails_the_stage_and_a_higher_one_measures(
    world: Project, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = str(spoilt(bundle, tmp_path / "other", 0.5))
    monkeypatch.setenv("ATELIER_EVALUATION_MEMORY_GIB", "0.1")
    with pytest.raises(StageError, match=r"the evaluation of 'tiny-digits' needed more than the 0\.1 GiB of memory"):
        ask(world, other)
    status, reason = last_run(world)
    assert status == "FAILED"
    assert "ATELIER_EVALUATION_MEMORY_GIB" in reason
    monkeypatch.delenv("ATELIER_EVALUATION_MEMORY_GIB")
    assert not ask(world, other).record.skipped
    assert last_run(world) == ("FINISHED", "")


def test_too_few_images_to_draw_are_refused_when_the_config_is_read(world: Project, champion: Retraining):
    world.edit("evaluate", num_images=4)
    try:
        with pytest.raises(ConfigError, match=r"'evaluate\.num_images': Input should be greater than or equal to 10"):
            evaluate(world.config)
    finally:
        world.edit("evaluate", num_images=24)


def test_a_champion_measured_under_another_protocol_is_measured_again(world: Project, bundle: Path, tmp_path: Path):
    other = str(spoilt(bundle, tmp_path / "other", 0.25))
    world.edit("evaluate", num_images=30)
    found = ask(world, other)
    assert found.champion == "1"
    assert "the champion: difference" in found.verdicts[1].reason, "they were compared"
    client = MlflowClient()
    champions = client.search_runs(
        [present(client.get_experiment_by_name("tiny-digits")).experiment_id],
        f"tags.bundle_digest = '{load_bundle(bundle).digest}' and attributes.status = 'FINISHED'",
    )
    assert {run.data.params["num_images"] for run in champions} == {"24", "30"}
