"""Versions and aliases: a model is registered once whatever is lost on the way, and aliases say what they point to."""

from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from flows.tracking.registry import Registry, UnknownModelError
from flows.tracking.runs import Tracking
from tests.support.checked import present
from tests.support.mlflow_helpers import logged_model, open_run, register


def test_registering_a_model_twice_gives_one_version(tracking: Tracking):
    registry, run_id = Registry(tracking), open_run(tracking)
    model_id = logged_model(tracking, run_id)
    assert register(registry, model_id, run_id) == "1"
    assert register(registry, model_id, run_id) == "1"
    assert register(registry, logged_model(tracking, run_id), run_id) == "2"
    assert [known.version for known in registry.versions("digits")] == ["2", "1"]
    assert registry.versions("digits")[1].logged_model_id == model_id
    assert registry.models() == ["digits"]


def test_a_registration_whose_reply_was_lost_is_found_by_the_retry(tracking: Tracking, monkeypatch: pytest.MonkeyPatch):
    registry, run_id = Registry(tracking), open_run(tracking)
    model_id = logged_model(tracking, run_id)
    create = tracking.client.create_model_version

    def lose_the_reply(*arguments: Any, **options: Any) -> None:  # a real server loses none on command
        create(*arguments, **options)
        raise MlflowException("connection reset by peer")

    with monkeypatch.context() as context:
        context.setattr(tracking.client, "create_model_version", lose_the_reply)
        with pytest.raises(MlflowException, match="connection reset"):
            register(registry, model_id, run_id)
    assert register(registry, model_id, run_id) == "1"
    assert len(registry.versions("digits")) == 1


def test_an_alias_moves_and_is_taken_away(tracking: Tracking):
    registry, run_id = Registry(tracking), open_run(tracking)
    for _ in range(2):
        register(registry, logged_model(tracking, run_id), run_id)
    for aliased in ("1", "2"):
        registry.point("digits", "champion", aliased)
        assert present(registry.at("digits", "champion")).version == aliased
    assert present(registry.at("digits", "champion")).tags["training_run"] == run_id
    for _ in range(2):  # taking away what is not there changes nothing
        registry.point("digits", "champion", None)
        assert registry.at("digits", "champion") is None


def test_an_alias_of_what_does_not_exist_is_none(tracking: Tracking):
    registry, run_id = Registry(tracking), open_run(tracking)
    assert registry.at("digits", "champion") is None, "no such model"
    register(registry, logged_model(tracking, run_id), run_id)
    assert registry.at("digits", "champion") is None, "no such alias"
    registry.point("digits", "champion", "1")
    tracking.client.delete_model_version("digits", "1")
    assert registry.at("digits", "champion") is None, "its version was deleted"


def test_a_version_can_be_described_after_it_was_made(tracking: Tracking):
    registry, run_id = Registry(tracking), open_run(tracking)
    register(registry, logged_model(tracking, run_id), run_id)
    registry.annotate("digits", "1", description="The first.", tags={"decision": "promoted"})
    assert registry.versions("digits")[0].tags["decision"] == "promoted"
    assert tracking.client.get_model_version("digits", "1").description == "The first."


def test_a_model_behind_the_first_page_of_the_registry_is_there(tracking: Tracking):
    names = [f"digits-{number:03d}" for number in range(100)]
    for name in names:
        tracking.client.create_registered_model(name)
    registry, run_id = Registry(tracking), open_run(tracking)
    register(registry, logged_model(tracking, run_id), run_id)
    last = "photos"
    tracking.client.create_registered_model(last)
    tracking.client.create_model_version(last, source="s3://models/1", run_id=run_id)
    registry.point(last, "champion", "1")
    assert registry.models() == sorted([*names, "digits", last])
    registry.check(last)
    assert registry.resolve(f"models:/{last}@champion") == registry.resolve(f"models:/{last}/1")
    with pytest.raises(UnknownModelError, match="no model 'photo' is registered; did you mean 'photos'"):
        registry.resolve("models:/photo@champion")


def test_all_aliases_of_a_model_are_given_whatever_they_point_to(tracking: Tracking):
    registry, run_id = Registry(tracking), open_run(tracking)
    assert registry.aliases("digits") == {}
    register(registry, logged_model(tracking, run_id), run_id)
    for alias in ("champion", "previous"):
        registry.point("digits", alias, "1")
    assert registry.aliases("digits") == {"champion": "1", "previous": "1"}


@pytest.mark.parametrize("name", ["", "a/b", "a:b"])
def test_what_can_name_no_model_is_a_model_that_is_not_registered(tracking: Tracking, name: str):
    with pytest.raises(UnknownModelError, match=f"no model '{name}' is registered"):
        Registry(tracking).check(name)
