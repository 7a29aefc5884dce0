"""The command, from a bundle and a dataset to files. The networks are untrained: what is judged is the judging."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut, coffee
from sklearn.datasets import load_digits

from gan_models.config import DcganConfig, ImageConfig, RestoreConfig
from gan_models.data.shard_writer import write_shards
from gan_models.evaluation.__main__ import main
from gan_models.evaluation.comparison import compare, load_evaluation
from gan_models.evaluation.figures.pictures import MAX_BYTES
from gan_models.evaluation.report import ReportContext, render_report
from tests.support.bundles import make_bundle
from tests.support.checked import present
from tests.support.image_rows import row_of

DENOISE = "{kind: denoise, name: denoise_25, sigma_min: 25, sigma_max: 25}"
GENERATE = "evaluate:\n  num_images: 40\n  extractor: {size: 32}\n"
RESTORE = f"evaluate:\n  num_images: 24\n  extractor: {{size: 32}}\n  degradations: [{DENOISE}, {{kind: inpaint}}]\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Datasets `digits` and `photos`, configs, and untrained bundles `draws`, `draws_too` and `restores`."""
    home = tmp_path_factory.mktemp("home")
    digits = load_digits()
    images = [Image.fromarray((pixels * 15.9).astype(np.uint8)) for pixels in digits.images[:260]]
    splits = ["evaluation"] * 60 + ["train"] * 200
    write_shards(
        (row_of(i, s, str(t)) for i, s, t in zip(images, splits, digits.target, strict=False)), home / "digits"
    )
    write_shards((row_of(i, "evaluation", "0") for i in images[:4]), home / "few")
    write_shards((row_of(i, "train", "0") for i in images[4:30]), home / "few")
    tiles = [
        Image.fromarray(photo[y : y + 64, x : x + 64])
        for photo in (astronaut(), coffee())
        for y in range(0, 256, 64)
        for x in range(0, 256, 64)
    ]
    write_shards((row_of(t, "train" if n < 16 else "evaluation") for n, t in enumerate(tiles)), home / "photos")
    (home / "generate.yaml").write_text(GENERATE)
    (home / "restore.yaml").write_text(RESTORE)
    gray, names = ImageConfig(size=32, channels=1), tuple("0123456789")
    make_bundle(home / "draws", DcganConfig(width=4), gray, names, 0)
    make_bundle(home / "draws_too", DcganConfig(width=4), gray, names, 1)
    make_bundle(home / "restores", RestoreConfig(width=4), ImageConfig(size=32, fit="crop"), (), 0)
    return home


def run(home, bundle, data, config, out, *more):
    paths = {"--bundle": home / bundle, "--data": home / data, "--config": home / config, "--out": out}
    return main([str(part) for pair in paths.items() for part in pair] + [str(part) for part in more])


@pytest.fixture(scope="module")
def drawn(home):
    out = home / "out-draws"
    assert run(home, "draws", "digits", "generate.yaml", out, "--cache", home / "cache") == 0
    return out


@pytest.fixture(scope="module")
def restored(home):
    out = home / "out-restores"
    assert run(home, "restores", "photos", "restore.yaml", out) == 0
    return out


def test_a_generator_gets_its_metrics_and_pictures(drawn):
    result, influence = load_evaluation(drawn)
    metrics = result.by_key()
    in_features = [f"{name}_efficientnet_lite0" for name in ("fd", "kd", "precision", "recall", "density", "coverage")]
    general = [*in_features, "diversity", "nearest_training_distance", "label_accuracy", "classes_present"]
    assert [key for key in metrics if "/" not in key] == general
    slices = [f"label_{digit}/{name}" for name in ("diversity", "label_accuracy") for digit in range(10)]
    assert [key for key in metrics if "/" in key] == slices
    assert metrics["recall_efficientnet_lite0"].baseline_name == "40 training images"
    assert {m.name for m in result.left_out} == {"fid", "kid", "inception_score"}
    assert all("extractor: {name: inception}" in m.reason for m in result.left_out)
    assert json.loads((drawn / "throughput.json").read_text())["images_per_second"] > 0
    assert all(metric.low <= metric.value <= metric.high for metric in result.metrics)
    assert all(len(influence[key]) == metric.num_images for key, metric in metrics.items())
    assert "biased" in metrics["fd_efficientnet_lite0"].note
    assert present(metrics["fd_efficientnet_lite0"].baseline) < metrics["fd_efficientnet_lite0"].value
    assert {picture.file for picture in result.pictures} == {"pictures/samples.png", "pictures/nearest_training.png"}


def test_a_restorer_gets_a_slice_per_degradation(restored):
    keys = load_evaluation(restored)[0].by_key()
    everywhere = ["psnr", "psnr_gain", "ssim", "ssim_gain", "fd_efficientnet_lite0", "diversity"]
    everywhere += ["psnr_y", "ssim_y", "kd_efficientnet_lite0", "feature_distance_efficientnet_lite0"]
    everywhere += ["psnr_gain_classical", "ssim_gain_classical"]
    holes = ["psnr_hole", "psnr_hole_gain_nearest", "psnr_hole_gain_mean_color"]
    expected = [f"{name}/{metric}" for name in ("denoise_25", "inpaint") for metric in everywhere]
    assert set(keys) == {*expected, *(f"inpaint/{metric}" for metric in holes)}
    gain = keys["denoise_25/psnr"].value - present(keys["denoise_25/psnr"].baseline)
    assert keys["denoise_25/psnr_gain"].value == pytest.approx(gain)
    assert present(keys["inpaint/psnr"].protocol.degradation)["kind"] == "inpaint"
    assert keys["inpaint/feature_distance_efficientnet_lite0"].baseline_name == "degraded input"
    left_out = {m.key: m for m in load_evaluation(restored)[0].left_out}
    assert left_out["inpaint/ms_ssim"].reason == "takes images of 176 pixels a side or more, and these have 32"
    assert left_out["inpaint/ms_ssim"].smallest == 176
    assert "inpaint/lpips" in left_out


@pytest.mark.parametrize("made", ["drawn", "restored"])
def test_pictures_are_small_and_progress_ends_complete(made, request):
    out = request.getfixturevalue(made)
    for picture in load_evaluation(out)[0].pictures:
        assert (out / picture.file).stat().st_size < MAX_BYTES
        Image.open(out / picture.file).verify()
    lines = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    assert [line["done"] for line in lines] == list(range(lines[-1]["total"] + 1))
    assert not list(out.glob("*.partial"))


def test_the_same_inputs_give_the_same_files_with_a_warm_cache_or_without(home, drawn, tmp_path):
    assert run(home, "draws", "digits", "generate.yaml", tmp_path, "--cache", home / "cache") == 0
    for name in ("evaluation.json", "influence.npz", "pictures/samples.png"):
        assert (tmp_path / name).read_bytes() == (drawn / name).read_bytes()


def test_the_report_is_one_file_that_needs_no_network(home, drawn, tmp_path):
    assert run(home, "draws_too", "digits", "generate.yaml", tmp_path / "other", "--cache", home / "cache") == 0
    champion, challenger = load_evaluation(drawn), load_evaluation(tmp_path / "other")
    rows = [{"step": step, "values": {"loss/generator": 1.0 / step}} for step in range(1, 9)]
    context = ReportContext(
        title="digits & <b>",
        result=challenger[0],
        directory=tmp_path / "other",
        champion=champion[0],
        champion_directory=drawn,
        differences=compare(*challenger, *champion),
        decision="Not promoted",
        promoted=False,
        lineage={"run": "abc", "bad": "link"},
        links={"run": "http://tracking/run", "bad": "javascript:alert(1)"},
        metrics_rows=rows,
    )
    render_report(context, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert len(html) < 8_000_000
    assert "<script" not in html
    assert 'src="http' not in html
    assert "@import" not in html
    assert "digits &amp; &lt;b&gt;" in html
    assert "javascript:" not in html
    assert html.count("data:image/png;base64,") == 3  # samples of both, nearest neighbors of the new one
    assert 'href="http://tracking/run"' in html


def test_too_few_images_are_insufficient_data(home, tmp_path, capsys):
    assert run(home, "draws", "few", "generate.yaml", tmp_path) == 2
    assert capsys.readouterr().err == "error: insufficient data: 4 evaluation images, and at least 10 are needed\n"
    assert not (tmp_path / "evaluation.json").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_counted_and_refused(home, tmp_path, capsys, value):
    bundle = make_bundle(
        tmp_path / "b", DcganConfig(width=4), ImageConfig(size=32, channels=1), tuple("0123456789"), 0, value
    )
    assert run(home, bundle, "digits", "generate.yaml", tmp_path / "out") == 2
    assert capsys.readouterr().err.startswith("error: 1 weights of the model are not finite")


def test_images_that_are_not_finite_are_counted_and_refused(home, tmp_path, capsys):
    bundle = make_bundle(  # finite weights that overflow
        tmp_path / "b", RestoreConfig(width=4), ImageConfig(size=32, fit="crop"), (), 0, 3e38
    )
    assert run(home, bundle, "photos", "restore.yaml", tmp_path / "out") == 2
    assert "of 24 images in a batch are not finite" in capsys.readouterr().err


def test_labels_that_the_data_does_not_have_are_refused(home, tmp_path, capsys):
    bundle = make_bundle(tmp_path / "b", DcganConfig(width=4), ImageConfig(size=32, channels=1), ("cat", "dog"), 0)
    assert run(home, bundle, "digits", "generate.yaml", tmp_path / "out") == 2
    assert "draws the labels cat, dog, and the data has 0, 1, 2" in capsys.readouterr().err


def test_mistakes_are_one_line_that_says_what_to_do(home, tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text("evaluate: {num_image: 5}")
    assert run(home, "draws", "digits", tmp_path / "bad.yaml", tmp_path) == 2
    assert run(home, "nowhere", "digits", "generate.yaml", tmp_path) == 2
    assert run(home, "draws", "nowhere", "generate.yaml", tmp_path) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert "did you mean 'num_images'?" in errors[0]
    assert all(line.startswith("error: ") for line in errors)


def test_a_model_without_labels_is_evaluated_too(home, tmp_path):
    recipe = DcganConfig(width=4, conditional=False)
    bundle = make_bundle(tmp_path / "b", recipe, ImageConfig(size=32, channels=1), tuple("0123456789"), 0)
    assert run(home, bundle, "digits", "generate.yaml", tmp_path / "out", "--cache", home / "cache") == 0
    keys = load_evaluation(tmp_path / "out")[0].by_key()
    assert "label_accuracy" not in keys
    assert "classes_present" in keys


def test_an_evaluation_in_the_same_place_is_replaced_whole(home, drawn, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "old.png").write_bytes(b"old")
    assert run(home, "draws", "digits", "generate.yaml", tmp_path, "--cache", home / "cache") == 0
    assert not (tmp_path / "pictures" / "old.png").exists()
    assert Path(tmp_path / "evaluation.json").read_bytes() == (drawn / "evaluation.json").read_bytes()
