"""Models that translate and repaint go through the whole chain: two domains, rules, review, serving."""

import base64
from pathlib import Path
from typing import Any

import mlflow
import pytest

from flows.config.settings import Settings
from flows.dataset import dataset
from flows.retrain import retrain
from flows.tracking.runs import Tracking
from tests.support.dataset_stage import become
from tests.support.project import Project, make_project, point_environment

pytestmark = pytest.mark.usefixtures("prefect_server")

TRANSLATOR = {"name": "cyclegan", "width": 4, "blocks": 1, "discriminator_width": 4, "discriminator_stages": 1}
STYLES = {"name": "style_bank", "width": 4, "discriminator_width": 4, "adversarial_weight": 0.0}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Project:
    """A project with some digits as photographs and others as paintings: what they show does not matter here."""
    project = make_project(tmp_path_factory.mktemp("two-domains") / "project", empty_database)
    project.add_digits(30, 90)
    (project.root / "art" / "one").mkdir(parents=True)
    (project.images / "digit-7").rename(project.root / "art" / "seven")
    for number in range(30, 90):
        (project.images / "digit-1" / f"{number:03d}.png").rename(project.root / "art" / "one" / f"{number}.png")
    sources = [{"path": "inbox", "domain": "photo"}, {"path": "art", "domain": "painting"}]
    project.edit("dataset", sources=sources)
    project.edit("train", image={"size": 32, "channels": 3}, steps=2, batch_size=2, sample_every=2, checkpoint_every=2)
    with pytest.MonkeyPatch.context() as monkeypatch:
        point_environment(monkeypatch, project)
        dataset.fn(project.config)
    return project


@pytest.fixture
def two_domains(made: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = Project(tmp_path / "project")
    become(made, project, monkeypatch)
    return project


@pytest.mark.parametrize(
    ("recipe", "rule", "request_"),
    [
        (TRANSLATOR, {"metric": "reverse/content_ssim", "at_least": -1.0}, {"reverse": True}),
        (STYLES, {"metric": "alpha0_psnr", "at_least": 0.0}, {"style": "seven", "alpha": 0.5}),
    ],
    ids=["cyclegan", "style_bank"],
)
def test_a_model_of_two_domains_is_retrained_and_served(
    two_domains: Project, recipe: dict[str, Any], rule: dict[str, Any], request_: dict[str, Any]
):
    project = two_domains
    project.edit("train", recipe=recipe)
    project.edit("promote", rules=[rule, {"metric": "content_ssim", "not_worse_than": "champion"}])
    version, _, evaluation, promotion = retrain(project.config)
    assert version.skipped, "both models are of one dataset"
    assert promotion.decision == "promoted", promotion.reason
    assert evaluation.metrics[rule["metric"]].low <= evaluation.metrics[rule["metric"]].high
    report = Tracking(Settings()).fetch(evaluation.run_id, "report.html").read_text()
    assert "content_ssim" in report or "Content kept" in report

    served = mlflow.pyfunc.load_model("models:/tiny-digits@champion")
    picture = base64.b64encode(next(project.images.rglob("*.png")).read_bytes()).decode()
    (answer,) = served.predict([{"image": picture, **request_}])
    assert base64.b64decode(answer).startswith(b"\x89PNG")
    with pytest.raises(Exception, match="does not take 'label'"):
        served.predict([{"image": picture, "label": "7"}])
    assert all(stage.skipped for stage in retrain(project.config))
