"""A model that tells the class of each pixel is judged by its overlap with real masks, class by class."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torchmetrics.classification import MulticlassJaccardIndex

from gan_models.bundles.bundle import load_bundle, save_bundle
from gan_models.config import EvaluateConfig, ExtractorConfig, ImageConfig, MaskClasses
from gan_models.data.image_set import load
from gan_models.data.pairs import list_pairs
from gan_models.evaluation.__main__ import main as evaluate
from gan_models.evaluation.comparison import load_evaluation
from gan_models.evaluation.report import ReportContext, render_report
from gan_models.evaluation.run import evaluate_to
from gan_models.images.class_masks import numbers_of
from gan_models.inference.translate import translate
from gan_models.training.__main__ import main
from tests.support.checked import present
from tests.support.mask_scenes import CLASSES, IGNORE, RECIPE, build, scene, write_scenes
from tests.support.served_models import ask, picture, served_model

TOLD = MaskClasses(tuple(CLASSES), tuple(CLASSES.values()), IGNORE)
CONFIG: dict[str, Any] = {
    "train": {
        "image": {"size": 32, "channels": 3, "fit": "crop"},
        "recipe": RECIPE,
        "steps": 60,
        "batch_size": 8,
        "flips": True,
        "ema_half_life_images": 50,
        "device": "cpu",
    },
    "evaluate": {"num_images": 30, "extractor": {"size": 32}},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scenes, trained on and evaluated in processes of their own, as the platform runs them."""
    root = tmp_path_factory.mktemp("scenes")
    for _ in write_scenes(root, range(80)):
        pass
    build(root, evaluation_share=0.3)
    (root / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    shared = ["--config", str(root / "config.yaml"), "--data", str(root / "data")]
    for arguments in (
        ["gan_models.training", *shared, "--out", str(root / "run")],
        ["gan_models.evaluation", *shared, "--out", str(root / "evaluation"), "--bundle", str(root / "run/bundle")],
    ):
        done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    return root


def test_two_processes_make_a_mean_iou_that_is_well_above_a_blind_answer(made: Path) -> None:
    content = json.loads((made / "evaluation" / "evaluation.json").read_text())
    by_name = {metric["name"]: metric for metric in content["metrics"] if metric["slice"] is None}
    assert list(by_name) == ["mean_iou", "mean_iou_gain", "pixel_accuracy"]
    assert by_name["mean_iou"]["low"] > by_name["mean_iou"]["baseline"] + 0.2
    assert by_name["mean_iou_gain"]["low"] > 0.2
    assert "the most frequent class" in by_name["mean_iou"]["baseline_name"]
    assert by_name["pixel_accuracy"]["value"] > by_name["pixel_accuracy"]["baseline"] > 0.5
    logged = [json.loads(line) for line in (made / "run" / "metrics.jsonl").read_text().splitlines()]
    assert "health/pixel_accuracy" in logged[-1]["values"]


def test_each_class_has_its_iou_and_their_mean_is_that_of_torchmetrics(made: Path) -> None:
    metrics = load_evaluation(made / "evaluation")[0].by_key()
    keys = [f"class_{name}/iou" for name in CLASSES.values()]
    assert set(keys) < metrics.keys()
    image = ImageConfig(size=32, channels=3, fit="crop")
    sides = map(load, list_pairs(made / "data", "evaluation", image, ("photo", "mask"), are_masks=True))
    photos, masks = (side.images for side in sides)
    chosen = np.linspace(0, len(photos) - 1, metrics["mean_iou"].num_images).astype(int)
    bundle = load_bundle(made / "run" / "bundle")
    told, right = (numbers_of(one, TOLD).long() for one in (translate(bundle, photos[chosen]), masks[chosen]))
    each = MulticlassJaccardIndex(3, average="none", ignore_index=255)(told, right)
    assert [metrics[key].value for key in keys] == pytest.approx(each.tolist(), abs=1e-6)
    assert metrics["mean_iou"].value == pytest.approx(each.double().mean().item(), abs=1e-6)
    assert present(metrics["mean_iou"].protocol.degradation)["classes"] == {
        str(value): name for value, name in CLASSES.items()
    }


def test_the_report_and_the_pictures_show_classes(made: Path) -> None:
    result = load_evaluation(made / "evaluation")[0]
    assert [picture.file for picture in result.pictures] == [
        "pictures/photo_to_mask.png",
        "pictures/photo_to_mask_worst.png",
    ]
    assert "Colors: background #000000, disc #800000, square #008000." in result.pictures[0].caption
    with Image.open(made / "evaluation" / result.pictures[0].file) as drawn:
        colors = {tuple(color) for color in np.asarray(drawn.convert("RGB")).reshape(-1, 3).tolist()}
    assert {(128, 0, 0), (0, 128, 0)} <= colors
    report = made / "report.html"
    render_report(ReportContext(title="scenes", result=result, directory=made / "evaluation"), report)
    assert "IoU by class" in report.read_text()


def test_a_served_model_answers_a_mask_with_the_values_that_it_learned(made: Path) -> None:
    model = served_model(made / "run" / "bundle")
    answer = ask(model, image=picture(0, 36, 40))
    assert answer.mode == "L"
    photos = torch.from_numpy(np.stack([scene(seed).photo for seed in range(5)])).permute(0, 3, 1, 2)
    whole, parts = (translate(model.bundle, photos, batch_size=size) for size in (5, 2))
    assert torch.equal(whole, parts)
    assert answer.size == (36, 40)
    assert set(np.unique(np.asarray(answer))) <= set(CLASSES)


def test_a_class_that_is_nowhere_has_no_iou_and_a_reason(made: Path, tmp_path: Path) -> None:
    """Here no mask has squares, and the model, whose logit of squares is made low, sees none."""
    for name, one in write_scenes(tmp_path, range(100, 150)):
        mask = Image.fromarray(np.where(one.mask == 130, IGNORE, one.mask))
        mask.save(tmp_path / "inbox" / "B" / f"{name}.png")
    build(tmp_path, evaluation_share=0.5)
    bundle = load_bundle(made / "run" / "bundle")
    bundle.network.get_parameter("decoders.2.0.bias")[2] = -100
    about = bundle.description.model_dump(include={"recipe", "image", "label_names"})
    about |= {"recipe": bundle.recipe, "image": bundle.image, "num_steps": 1, "config_digest": "", "data_digest": ""}
    save_bundle(tmp_path / "bundle", bundle.network, **about)
    config = EvaluateConfig(num_images=30, extractor=ExtractorConfig(size=32))
    out = tmp_path / "out"
    result = evaluate_to(out, tmp_path / "bundle", tmp_path / "data", config, cache=None, device="cpu")
    left_out = {metric.key: metric.reason for metric in result.left_out}
    assert left_out["class_square/iou"] == "no evaluation mask and no output has this class"
    assert "class_square/iou" not in result.by_key()
    each = [result.by_key()[f"class_{name}/iou"].value for name in ("background", "disc")]
    assert result.by_key()["mean_iou"].value == pytest.approx(sum(each) / 2)


def test_unknown_values_end_training_and_evaluation_with_one_sentence(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stray value is in a mask for evaluation: training is told of it too, before its first step."""
    for name, one in write_scenes(tmp_path, range(40)):
        mask = one.mask.copy()
        mask[0, :5] = 9
        Image.fromarray(mask).save(tmp_path / "inbox" / "B" / f"{name}.png")
    build(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    shared = ["--config", str(tmp_path / "config.yaml"), "--data", str(tmp_path / "data")]
    assert main([*shared, "--out", str(tmp_path / "run")]) == 2
    errors = capsys.readouterr().err
    assert f"the masks in {tmp_path / 'data'} have pixels of values that are no class: 9 (200 pixels)" in errors
    assert "Name the others in `train.recipe.classes`" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
    assert evaluate([*shared, "--out", str(tmp_path / "out"), "--bundle", str(made / "run" / "bundle")]) == 2
    assert "values that are no class: 9" in capsys.readouterr().err
