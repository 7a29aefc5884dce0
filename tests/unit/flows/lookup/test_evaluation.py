"""What an evaluation is made again for, besides code: facts of its own metrics, and the network that measures."""

import importlib.metadata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flows.config.model_config import ModelConfig
from flows.lookup.evaluation import fingerprint
from flows.lookup.evaluation_target import EvaluationTarget
from flows.tracking.context import StageContext
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking
from gan_models.evaluation.metrics.catalog import METRICS
from tests.support.mlflow_helpers import version
from tests.support.project import TINY

TARGET = EvaluationTarget("run 1", "dcgan", "d1", version("1"), training=None, fetch=Path)


@pytest.fixture
def measured(tracking: Tracking) -> Callable[[EvaluationTarget], str]:
    ctx = StageContext(tracking.settings, ModelConfig.model_validate(TINY), tracking, Registry(tracking))
    return lambda target: fingerprint(ctx, target)


def test_a_corrected_direction_of_a_metric_measures_again_what_has_it(measured, monkeypatch: pytest.MonkeyPatch):
    before = measured(TARGET)
    for name, again in (("psnr_gain", False), ("diversity", True)):
        turned = replace(METRICS[name], higher_is_better=not METRICS[name].higher_is_better)
        monkeypatch.setitem(METRICS, name, turned)
        assert (measured(TARGET) != before) == again, name


def test_another_version_of_the_library_that_builds_the_measuring_network_measures_again(
    measured, monkeypatch: pytest.MonkeyPatch
):
    before, installed = measured(TARGET), importlib.metadata.version
    for upgraded, again in (("torchvision", False), ("timm", True)):
        monkeypatch.setattr(
            importlib.metadata, "version", lambda name, new=upgraded: "99.0" if name == new else installed(name)
        )
        assert (measured(TARGET) != before) == again, upgraded


def test_a_model_of_another_recipe_is_measured_by_the_code_of_its_own(measured):
    assert measured(replace(TARGET, recipe="vae")) != measured(TARGET)
