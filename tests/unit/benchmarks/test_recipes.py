"""The recipes' document: bars are decided by numbers, pictures stay small, and what is missing is said to be."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.recipes import HERE, main, write_document
from benchmarks.support.claims import claims_of, claims_of_generation, sentence
from benchmarks.support.measured import Measured
from benchmarks.support.sheet import draw_sheet
from flows.config.model_config import ModelConfig
from gan_models.config import read_yaml
from gan_models.evaluation.result import EvaluationResult, Metric, Picture, Protocol, Slice
from tests.support.project import ROOT, TINY

GROUPS = read_yaml(HERE / "recipes.yaml")["groups"]
PROTOCOL = Protocol(metric="m", num_images=10, seed=0, split_digest="d", image="32x32x1 resize")


def slice_of(key):
    prefix, _, name = key.partition("_")
    return Slice(kind="label", name=name) if prefix == "label" else Slice(kind="degradation", name=key)


def metric(key, value, low, high, baseline=None, baseline_name="the untouched inputs"):
    *of_slice, name = key.split("/")
    return Metric(
        name=name,
        slice=slice_of(of_slice[0]) if of_slice else None,
        value=value,
        low=low,
        high=high,
        num_images=10,
        higher_is_better=None,
        baseline=baseline,
        baseline_name=None if baseline is None else baseline_name,
        protocol=PROTOCOL,
    )


@pytest.fixture
def measured(tmp_path):
    """Makes a measured row of metrics, with two pictures of noise, which no format makes small."""
    noise = np.random.default_rng(0).integers(0, 256, (500, 1200, 4), np.uint8)
    noise[..., 3] = 255
    (tmp_path / "pictures").mkdir()
    for name in ("samples", "samples_worst"):
        Image.fromarray(noise).save(tmp_path / "pictures" / f"{name}.png")
    pictures = tuple(Picture(file=f"pictures/{name}.png", title=name) for name in ("samples", "samples_worst"))

    def make(*metrics, rules=({"metric": "content_ssim", "better_than": "champion"},)):
        result = EvaluationResult(bundle_digest="b", task="t", protocol_id="p", metrics=metrics, pictures=pictures)
        train = {**TINY["train"], "recipe": {"name": "cut"}}
        config = ModelConfig.model_validate({**TINY, "train": train, "promote": {"rules": list(rules)}})
        return Measured(config, result, tmp_path, 12.3, 1_230_000)

    return make


def test_a_generator_is_held_against_the_autoencoder(measured):
    rows = {
        "vae": measured(metric("fd_efficientnet_lite0", 100, 98, 102)),
        "dcgan": measured(metric("fd_efficientnet_lite0", 101, 97, 99), metric("classes_present", 0.9, 0.9, 0.9)),
        "r3gan": measured(metric("fd_efficientnet_lite0", 40, 38, 42), metric("label_accuracy", 0.95, 0.92, 0.97)),
    }
    assert [claim.holds for claim in claims_of("dcgan", rows)] == [False, False]
    assert [claim.holds for claim in claims_of("r3gan", rows)] == [True]
    of_group = claims_of_generation(rows)
    assert [claim.holds for claim in of_group] == [True, True]
    assert "r3gan 40 [38, 42], vae 100 [98, 102]" in sentence(of_group)


def test_every_gain_has_to_be_above_zero_as_a_whole_interval(measured):
    rows = {"restore": measured(metric("a/psnr_gain", 1, 0.5, 2), metric("b/ssim_gain_classical", 0.01, -0.01, 0.02))}
    says = sentence(claims_of("restore", rows))
    assert says == (
        "**The bar does not hold**: 1 of 2 conditions not met. b/ssim_gain_classical above 0: 0.01 [-0.01, 0.02]."
    )


def test_a_blind_model_is_held_against_a_blind_method(measured):
    told, blind = metric("a/psnr_gain_classical", -1, -2, -0.5), metric("a/psnr_gain_classical_blind", 1, 0.5, 2)
    (claim,) = claims_of("restore", {"restore": measured(told, blind)})
    assert claim.condition == "a/psnr_gain_classical_blind above 0"
    assert claim.holds


def test_a_translator_has_to_come_nearer_than_the_untouched_and_keep_its_own_bound(measured):
    metrics = (metric("fd_efficientnet_lite0", 50, 45, 55, baseline=60), metric("content_ssim", 0.6, 0.55, 0.65))
    bound = {"metric": "content_ssim", "at_least": 0.5}
    rows = {"cut": measured(*metrics, rules=[bound])}
    assert sentence(claims_of("cut", rows)).startswith("**The bar holds.** fd_efficientnet_lite0 below that of the un")
    rows = {"cut": measured(*metrics, rules=[bound | {"at_least": 0.6}])}
    assert [claim.holds for claim in claims_of("cut", rows)] == [True, False]


def test_the_same_measurements_give_the_same_document(measured, tmp_path):
    rows = {"vae": measured(metric("fd_efficientnet_lite0", 100, 98, 102, 12, "9 real images"))}
    written = []
    for name in ("one", "two"):
        write_document(GROUPS, rows, tmp_path / name)
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()})
    assert written[0] == written[1]
    assert set(written[0]) == {"recipes.md", "vae.jpg"}
    text = written[0]["recipes.md"].decode()
    assert "100 [98, 102] (9 real images: 12) | 12 s | 1.23 M |" in text
    assert "python -m benchmarks.recipes --only cut" in text, "what is not measured says how to"


def test_the_picture_of_a_row_is_small_and_leaves_out_what_was_chosen(measured):
    row = measured()
    content = draw_sheet(row.result, row.pictures, 60_000)
    with Image.open(io.BytesIO(content)) as sheet:
        assert sheet.format == "JPEG"
        assert sheet.height < sheet.width
    assert len(content) <= 60_000


def test_pictures_of_rows_that_are_gone_are_removed(measured, tmp_path):
    (tmp_path / "docs/recipes").mkdir(parents=True)
    (tmp_path / "docs/recipes/old.jpg").touch()
    write_document(GROUPS, {"vae": measured()}, tmp_path / "docs")
    assert [path.name for path in (tmp_path / "docs/recipes").iterdir()] == ["vae.jpg"]


def test_an_unknown_row_is_refused(capsys):
    assert main(["--only", "gan"]) == 2
    assert "there is no row 'gan'; there are dcgan, wgan_gp" in capsys.readouterr().err


def test_every_small_config_has_a_row_but_for_those_whose_images_a_user_brings():
    rows = {row["config"] for group in GROUPS for row in group["rows"]}
    assert {file.stem for file in (ROOT / "configs/small").glob("*.yaml")} - rows == {"pix2pix_pairs", "pix2pix_masks"}
