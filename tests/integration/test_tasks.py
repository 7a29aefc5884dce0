"""Models that translate and repaint go through the whole chain: two domains, rules, review, serving."""

import base64
from typing import Any

import mlflow
import pytest

from flows.config.settings import Settings
from flows.retrain import retrain
from flows.tracking.runs import Tracking
from tests.support.project import Project

pytestmark = pytest.mark.usefixtures("prefect_server")

TRANSLATOR = {"name": "cyclegan", "width": 4, "blocks": 1, "discriminator_width": 4, "discriminator_stages": 1}
STYLES = {"name": "style_bank", "width": 4, "discriminator_width": 4, "adversarial_weight": 0.0}


def two_domains(project: Project) -> None:
    """Some digits as photographs and others as paintings: what they show does not matter here."""
    project.add_digits(30, 90)
    (project.root / "art" / "one").mkdir(parents=True)
    (project.images / "digit-7").rename(project.root / "art" / "seven")
    for number in range(30, 90):
        (project.images / "digit-1" / f"{number:03d}.png").rename(project.root / "art" / "one" / f"{number}.png")
    sources = [{"path": "inbox", "domain": "photo"}, {"path": "art", "domain": "painting"}]
    project.edit("dataset", sources=sources)
    project.edit("train", image={"size": 32, "channels": 3}, steps=2, batch_size=2, sample_every=2, checkpoint_every=2)


@pytest.mark.parametrize(
    ("recipe", "rule", "request_"),
    [
        (TRANSLATOR, {"metric": "reverse/content_ssim", "at_least": -1.0}, {"reverse": True}),
        (STYLES, {"metric": "alpha0_psnr", "at_least": 0.0}, {"style": "seven", "alpha": 0.5}),
    ],
    ids=["cyclegan", "style_bank"],
)
def test_a_model_of_two_domains_is_retrained_and_served(
    project: Project, recipe: dict[str, Any], rule: dict[str, Any], request_: dict[str, Any]
):
    two_domains(project)
    project.edit("train", recipe=recipe)
    project.edit("promote", rules=[rule, {"metric": "content_ssim", "not_worse_than": "champion"}])
    _, _, evaluation, promotion = retrain(project.config)
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
