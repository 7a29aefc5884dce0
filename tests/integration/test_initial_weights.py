"""Where training begins: an alias that is not there yet, a version of a registry, a folder; and what is no bundle."""

import shutil

import pytest

from flows.config.settings import Settings
from flows.dataset import dataset
from flows.lookup import training as lookup
from flows.lookup.initial_weights import find_initial_weights
from flows.runtime.errors import StageError
from flows.runtime.records import DatasetVersion
from flows.tracking.context import StageContext
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking
from flows.train import train
from tests.support.beginnings import following
from tests.support.project import Project

pytestmark = pytest.mark.usefixtures("prefect_server")


def register(project: Project, training) -> str:
    """Make a trained model the champion, as the promote stage would."""
    registry = Registry(Tracking(Settings()))
    tags = {"training_run": training.run_id, "bundle_digest": training.bundle_digest}
    version = registry.register(
        training.model_name, training.logged_model_id, run_id=training.run_id, description="", tags=tags
    )
    registry.point(training.model_name, "champion", version)
    return version


def test_a_model_that_follows_its_own_champion_begins_from_scratch_and_then_from_it(
    project: Project, built: DatasetVersion, capsys: pytest.CaptureFixture[str]
):
    project.edit("train", steps=4, init_from="models:/tiny-digits@champion")
    first = train(project.config, built)
    assert "tiny-digits: no champion yet, beginning from scratch" in capsys.readouterr().out
    tracking = Tracking(Settings())
    assert "initial_model" not in tracking.tags(first.run_id)

    register(project, first)
    assert train(project.config).skipped, "a promotion alone is nothing new to train on"

    project.add_digits(30, 40)
    second = train(project.config, dataset(project.config))
    assert not second.skipped
    assert tracking.tags(second.run_id)["initial_model"] == "models:/tiny-digits/1"
    config = tracking.fetch(second.run_id, "config.yaml").read_text()
    assert "init_from: " in config
    assert second.bundle_digest != first.bundle_digest


def test_a_champion_that_never_was_is_begun_without(project: Project):
    ctx = StageContext.open(project.config)
    ctx = following(ctx, "models:/tiny-digits@champion")
    assert find_initial_weights(ctx) is None, "no such model yet"
    client = ctx.tracking.client
    run = client.create_run(client.create_experiment("tiny-digits")).info.run_id
    client.create_registered_model("tiny-digits")
    client.create_model_version("tiny-digits", source="s3://models/1", run_id=run, tags={"decision": "rejected"})
    assert find_initial_weights(ctx) is None, "its only version was rejected"


def test_a_misspelt_alias_of_the_own_model_is_refused(project: Project):
    ctx = StageContext.open(project.config)
    with pytest.raises(StageError, match="no model 'tiny-digits' is registered"):
        find_initial_weights(following(ctx, "models:/tiny-digits@champoin"))


def test_another_model_to_begin_from_is_part_of_what_decides_the_result(project: Project, built: DatasetVersion):
    project.edit("train", steps=2)
    trained = train(project.config, built)
    ctx = StageContext.open(project.config)
    from_scratch = lookup.fingerprint(ctx, built)
    shutil.copytree(ctx.registry.fetch_bundle(trained.logged_model_id), project.root / "base")

    project.edit("train", init_from="base")
    from_folder = lookup.fingerprint(StageContext.open(project.config), built)
    description = project.root / "base" / "bundle.json"
    description.write_text(description.read_text() + "\n")
    assert len({from_scratch, from_folder, lookup.fingerprint(StageContext.open(project.config), built)}) == 3

    number = register(project, trained)
    project.edit("train", init_from=f"models:/tiny-digits/{number}")
    assert lookup.fingerprint(StageContext.open(project.config), built) not in (from_scratch, from_folder)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("models:/other@champion", "no model 'other' is registered; there are: none"),
        ("models:/tiny-digits/3", "no model 'tiny-digits' is registered"),
        ("nowhere", "is not the folder of a bundle"),
    ],
)
def test_what_cannot_be_begun_from_is_refused(project: Project, built: DatasetVersion, asked: str, says: str):
    project.edit("train", init_from=asked)
    with pytest.raises(StageError, match=says):
        train(project.config, built)
