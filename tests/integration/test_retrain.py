"""The whole chain on real DVC, MLflow and Prefect: one project lives through several retrains, in order."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from mlflow import MlflowClient
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter

from flows.cli.doctor import NotTried, TroubleError, check_champions
from flows.config.settings import Settings
from flows.datasets.dvc_file import tracked_md5
from flows.lookup import training as training_lookup
from flows.lookup.initial_weights import find_initial_weights, why_from_scratch
from flows.retrain import retrain
from flows.runtime.records import DatasetVersion, Retraining
from flows.tracking.context import StageContext
from flows.tracking.registry import Registry
from flows.tracking.runs import DATASETS_EXPERIMENT, Tracking
from tests.support.beginnings import following
from tests.support.checked import present
from tests.support.other_environment import gpu_worker
from tests.support.project import Project, Snapshot, make_project, point_environment

pytestmark = pytest.mark.usefixtures("prefect_server")


RULES = [{"metric": "noise/psnr_gain", "at_least": -1.0}, {"metric": "noise/psnr", "better_than": "champion"}]


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory, empty_database: Path, prefect_server: str) -> Snapshot:
    """A project whose first model has been made and promoted."""
    project = make_project(tmp_path_factory.mktemp("world") / "project", empty_database)
    noise = {"kind": "denoise", "name": "noise", "sigma_min": 40, "sigma_max": 40}
    recipe = {"name": "restore", "width": 8, "blocks": [1, 1], "degradations": [noise], "adversarial_from": 1.0}
    project.edit("train", steps=40, batch_size=16, recipe=recipe)
    project.edit("evaluate", degradations=[noise])
    project.edit("promote", rules=RULES)
    with pytest.MonkeyPatch.context() as monkeypatch:
        point_environment(monkeypatch, project)
        retrain(project.config)
    return Snapshot(project, tmp_path_factory.mktemp("promoted"))


class Challenged(NamedTuple):
    """The same after a worse challenger, and a better one of more images: version 3 is champion, 1 was before."""

    snapshot: Snapshot
    worse: Retraining
    aliases_between: dict[str, str]
    better: Retraining


@pytest.fixture(scope="module")
def challenged(promoted: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> Challenged:
    project = promoted.restore()
    with pytest.MonkeyPatch.context() as monkeypatch:
        point_environment(monkeypatch, project)
        project.edit("train", steps=1)
        worse = retrain(project.config)
        aliases = Registry(Tracking(Settings())).aliases("tiny-digits")
        project.edit("train", steps=80)
        project.add_digits(30, 60)
        better = retrain(project.config)
    return Challenged(Snapshot(project, tmp_path_factory.mktemp("challenged")), worse, aliases, better)


@pytest.fixture
def world(promoted: Snapshot, monkeypatch: pytest.MonkeyPatch) -> Project:
    point_environment(monkeypatch, promoted.project)
    return promoted.restore()


@pytest.fixture
def later(challenged: Challenged, monkeypatch: pytest.MonkeyPatch) -> Project:
    point_environment(monkeypatch, challenged.snapshot.project)
    return challenged.snapshot.restore()


@pytest.fixture
def registry() -> Registry:
    return Registry(Tracking(Settings()))


def again(world: Project) -> Retraining:
    return retrain(world.config)


def test_the_first_model_needs_only_the_absolute_rules(world: Project, registry: Registry):
    champion = registry.at("tiny-digits", "champion")
    assert champion is not None
    assert champion.version == "1"
    assert champion.tags["decision"] == "promoted"
    assert registry.at("tiny-digits", "challenger") is None


def test_from_a_version_a_person_reaches_everything_it_was_made_of(world: Project, registry: Registry):
    tags = present(registry.at("tiny-digits", "champion")).tags
    tracking = registry.tracking
    assert tracking.tags(tags["training_run"])["dataset_version"] == tags["dataset_version"]
    assert tags["dataset_version"] == tracked_md5(Settings(), "tiny")
    assert world.git("cat-file", "-t", tags["git_commit"].removesuffix("-dirty")).strip() == "commit"
    config = tracking.fetch(tags["training_run"], "config.yaml").read_text()
    assert "tiny-digits" in config
    assert tracking.tags(tags["promotion_run"])["stage"] == "promote"


def test_a_reviewer_finds_the_dataset_curves_pictures_and_the_report_in_mlflow(world: Project, registry: Registry):
    tags = present(registry.at("tiny-digits", "champion")).tags
    client = MlflowClient()
    training = client.get_run(tags["training_run"])
    assert training.info.run_name.startswith("train tiny-digits ")
    assert [entry.dataset.digest for entry in present(training.inputs).dataset_inputs] == [tags["dataset_version"]]
    curve = client.get_metric_history(tags["training_run"], "loss/reconstruction")
    assert [point.step for point in curve] == list(range(2, 41, 2))
    assert any("samples" in file.path for file in client.list_artifacts(tags["training_run"], "images"))
    evaluation = {file.path for file in client.list_artifacts(tags["evaluation_run"])}
    assert {"report.html", "slices.json", "rules.json", "protocol.json", "evaluation"} <= evaluation
    logged = client.get_logged_model(tags["logged_model"])
    assert "noise/psnr" in {metric.key for metric in present(logged.metrics)}


def test_a_retrain_with_nothing_new_skips_every_stage_and_makes_no_version(world: Project, registry: Registry):
    assert [record.skipped for record in again(world)] == [True, True, True, True]
    assert len(registry.versions("tiny-digits")) == 1


def test_a_page_tags_and_a_message_say_in_prefect_what_came_of_a_retrain(
    world: Project, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ATELIER_MLFLOW_UI", "https://mlflow.test")
    state = retrain(world.config, return_state=True)
    assert state.message == "nothing new; version 1 is champion"
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(present(state.state_details.flow_run_id))
        own = ArtifactFilter.model_validate({"flow_run_id": {"any_": [run.id]}})
        (page,) = client.read_artifacts(artifact_filter=own)
    assert set(run.tags) == {"atelier", "model:tiny-digits", "dataset:tiny", "decision:nothing new"}
    assert page.key == "retrain-tiny-digits"
    text = str(page.data)
    stages = ("dataset", "train", "evaluate", "promote")
    assert [row.split(" | ")[:2] for row in text.splitlines()[4:8]] == [[f"| {stage}", "skipped"] for stage in stages]
    for stage in stages:
        assert f"(https://mlflow.test/#/runs/{run.labels[f'atelier.{stage}.run_id']})" in text
    assert "(https://mlflow.test/#/models/tiny-digits/versions/1): promoted." in text


def test_what_a_worker_with_another_pytorch_has_trained_is_found_by_what_the_worker_says(
    world: Project, registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("flows.retrain.own_work_pool", lambda: "cpu")
    monkeypatch.setattr(training_lookup, "torch_version", lambda: "0.0+cpu")  # of the parent alone
    with gpu_worker("tiny-digits"):
        records = retrain(world.config, remote=True)
    assert [record.skipped for record in records] == [True, True, True, True]
    assert records[1].run_id == present(registry.at("tiny-digits", "champion")).tags["training_run"]
    assert len(registry.versions("tiny-digits")) == 1


def test_the_model_loads_in_a_clean_process_with_pickle_disabled(world: Project, tmp_path: Path):
    program = (
        "import mlflow, base64, sys\n"
        "model = mlflow.pyfunc.load_model('models:/tiny-digits@champion')\n"
        "image = base64.b64encode(open(sys.argv[1], 'rb').read()).decode()\n"
        "print(base64.b64decode(model.predict([{'image': image}])[0])[1:4])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(world.images / "digit-7" / "000.png")],
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == "b'PNG'", done.stderr
    stored = (world.root / ".atelier" / "mlartifacts").rglob("*")
    assert [file.name for file in stored if file.suffix in {".pkl", ".pickle", ".pt", ".pth"}] == []


def test_a_worse_challenger_is_registered_and_not_promoted(challenged: Challenged):
    version, training, evaluation, promotion = challenged.worse
    assert version.skipped
    assert not training.skipped
    assert evaluation.champion_version == "1"
    assert promotion.decision == "kept champion"
    assert "worse than the champion" in promotion.reason
    assert challenged.aliases_between["champion"] == "1"
    assert challenged.aliases_between["challenger"] == promotion.version


def test_new_images_lead_to_a_new_version_and_to_the_champion_measured_again(
    challenged: Challenged, later: Project, registry: Registry
):
    version, _, evaluation, _ = challenged.better
    assert not version.skipped
    assert version.dvc_md5 != challenged.worse[0].dvc_md5
    assert version.num_train + version.num_evaluation == 180
    shards = sorted((later.root / "data" / "tiny").glob("*.parquet"))
    assert len(shards) == 4, "the shards of the first version are still there, the new images are in some of their own"
    measured = registry.tracking.tags(present(evaluation.champion_run_id))
    assert measured["training_run"] == present(registry.at("tiny-digits", "previous")).tags["training_run"]
    assert measured["dataset_version"] == version.dvc_md5


def test_a_better_challenger_becomes_champion_and_the_old_one_previous(later: Project, registry: Registry):
    assert [version.tags["decision"] for version in registry.versions("tiny-digits")] == [
        "promoted",
        "kept champion",
        "promoted",
    ]
    aliases = {
        alias: present(registry.at("tiny-digits", alias)).version for alias in ("champion", "previous", "challenger")
    }
    assert aliases == {"champion": "3", "previous": "1", "challenger": "2"}
    *_, promotion = again(later)
    assert promotion.replaced_version == "1"
    assert [record.skipped for record in again(later)] == [True, True, True, True]


def test_a_champion_that_fails_new_rules_keeps_serving_and_does_not_become_a_challenger(
    later: Project, registry: Registry
):
    champion, challenger = (present(registry.at("tiny-digits", alias)) for alias in ("champion", "challenger"))
    later.edit("promote", rules=[{"metric": "noise/psnr_gain", "at_least": 100.0}])
    *_, promotion = again(later)
    later.edit("promote", rules=RULES)
    assert promotion.decision == "kept champion"
    assert promotion.version == champion.version
    assert present(registry.at("tiny-digits", "champion")).version == champion.version
    assert present(registry.at("tiny-digits", "challenger")).version == challenger.version


@pytest.mark.parametrize(
    ("lost", "champion", "told"),
    [
        ("alias", "3", "nothing was champion; version 3, promoted last, is it again"),
        ("version", "4", "the champion, version 3, was deleted; this model is decided on alone"),
        ("model", "1", "the champion, version 3, was deleted; this model is decided on alone"),
        ("files", "4", "champion version 3 cannot be served, its files are gone"),
    ],
)
def test_a_champion_that_someone_deleted_is_missed_and_there_is_one_again(
    later: Project, registry: Registry, capsys: pytest.CaptureFixture[str], lost: str, champion: str, told: str
):
    client, before = MlflowClient(), present(registry.at("tiny-digits", "champion"))
    if lost == "alias":
        client.delete_registered_model_alias("tiny-digits", "champion")
    elif lost == "version":
        client.delete_model_version("tiny-digits", before.version)
    elif lost == "model":
        client.delete_registered_model("tiny-digits")
    else:
        shutil.rmtree(later.root / ".atelier" / "mlartifacts" / "tiny-digits" / "models" / before.logged_model_id)
        assert not registry.has_files(before.logged_model_id)
    if lost == "model":
        assert isinstance(check_champions(Settings()), NotTried)
    else:
        with pytest.raises(TroubleError, match="`atelier retrain` with the config of each makes it good"):
            check_champions(Settings())
    ctx = following(StageContext.open(later.config), "models:/tiny-digits@champion")
    begins = find_initial_weights(ctx)
    if lost == "alias":
        of_another = replace(ctx, model=ctx.model.model_copy(update={"name": "another"}))
        assert present(begins).name == present(find_initial_weights(of_another)).name == "models:/tiny-digits/3"
    else:
        assert begins is None
        assert why_from_scratch(ctx) == "the champion, version 3, was deleted or has lost its files"
    promotion = again(later)[3]
    assert check_champions(Settings()) == f"tiny-digits version {champion}"
    assert told in capsys.readouterr().out
    now = present(registry.at("tiny-digits", "champion"))
    assert (now.version, promotion.version, promotion.decision) == (champion, champion, "promoted")
    assert registry.has_files(now.logged_model_id)
    assert [record.skipped for record in again(later)] == [True, True, True, True]


def test_every_run_says_what_it_is_and_every_finished_one_carries_its_record(later: Project, registry: Registry):
    client = MlflowClient()
    experiment = present(client.get_experiment_by_name("tiny-digits"))
    runs = client.search_runs([experiment.experiment_id])
    assert {run.data.tags["stage"] for run in runs} == {"train", "evaluate", "promote"}
    assert all(run.info.status == "FINISHED" for run in runs)
    assert all("fingerprint" in json.loads(run.data.tags["record"]) for run in runs)
    versions = present(client.get_experiment_by_name(DATASETS_EXPERIMENT))
    newest = client.search_runs([versions.experiment_id])[0]
    assert DatasetVersion.model_validate_json(newest.data.tags["record"]).name == "tiny"
