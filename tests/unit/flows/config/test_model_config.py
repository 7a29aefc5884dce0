"""The config file of a model: what is refused, and what a person is told to write instead."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.config.model_config import ModelConfig, read_model_config
from gan_models.config import ConfigError
from tests.support.project import ROOT, TINY

SHIPPED = sorted((ROOT / "configs").rglob("*.yaml"))


def changed(path: str, value: Any) -> dict[str, Any]:
    """The tiny config with one key set, given as `section.key`."""
    content: dict[str, Any] = yaml.safe_load(yaml.safe_dump(TINY))
    *sections, key = path.split(".")
    section = content
    for name in sections:
        section = section[name]
    section[key] = value
    return content


def read(folder: Path, content: object) -> ModelConfig:
    file = folder / "tiny.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return read_model_config(file)


def refusal(folder: Path, content: object) -> str:
    with pytest.raises(ConfigError) as refused:
        read(folder, content)
    return str(refused.value)


def test_a_valid_config_is_read_whole(tmp_path: Path):
    config = read(tmp_path, TINY)
    assert config.model_dump(mode="json", include={"name", "description"}) == {
        "name": "tiny-digits",
        "description": "Three digits, for tests.",
    }
    assert config.train.steps == 12
    assert str(config.promote.rules[0]) == "diversity at least 0"


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("train.stepps", "steps"),
        ("dataset.sorces", "sources"),
        ("train.image.chanels", "channels"),
        ("train.recipe.latent_dims", "latent_dim"),
        ("evaluate.num_image", "num_images"),
        ("trains", "train"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(tmp_path: Path, key: str, nearest: str):
    message = refusal(tmp_path, changed(key, 1))
    assert f"did you mean '{nearest}'?" in message
    assert key.rsplit(".", 1)[-1] in message
    assert str(tmp_path / "tiny.yaml") in message


def test_an_unknown_key_of_a_rule_is_refused_with_the_nearest_one(tmp_path: Path):
    rules = [{"metric": "diversity", "at_leest": 0.5}]
    assert "did you mean 'at_least'?" in refusal(tmp_path, changed("promote.rules", rules))


def test_every_problem_is_named_at_once(tmp_path: Path):
    content = changed("train.stepps", 1)
    content["evaluate"]["num_images"] = 0
    message = refusal(tmp_path, content)
    assert "'train.stepps'" in message
    assert "'evaluate.num_images'" in message


@pytest.mark.parametrize("key", ["name", "dataset.name"])
@pytest.mark.parametrize("name", ["../escape", "Digits", "a b", "", "a\nb", "d\u0131gits", "x" * 65])
def test_a_name_that_could_not_be_a_folder_everywhere_is_refused(tmp_path: Path, key: str, name: str):
    message = refusal(tmp_path, changed(key, name))
    assert f"'{key}'" in message
    assert "lower-case letters" in message
    assert message.isprintable()


def test_a_refused_name_comes_with_one_that_would_do(tmp_path: Path):
    assert "'my-digits' would do" in refusal(tmp_path, changed("name", "My Digits"))


def test_an_unknown_recipe_is_refused_with_the_nearest_one(tmp_path: Path):
    assert "did you mean 'dcgan'?" in refusal(tmp_path, changed("train.recipe.name", "dcgann"))


def test_a_dataset_needs_a_source_and_a_promotion_needs_a_rule(tmp_path: Path):
    assert "'dataset.sources'" in refusal(tmp_path, changed("dataset.sources", []))
    assert "'promote.rules'" in refusal(tmp_path, changed("promote.rules", []))


def test_a_missing_section_is_named(tmp_path: Path):
    without_rules = {name: section for name, section in TINY.items() if name != "promote"}
    assert "'promote'" in refusal(tmp_path, without_rules)


def test_a_missing_file_is_refused_with_the_nearest_one_beside_it(tmp_path: Path):
    (tmp_path / "digits-generator.yaml").touch()
    (tmp_path / "photo-restorer.yaml").touch()
    with pytest.raises(ConfigError) as refused:
        read_model_config(tmp_path / "digit-generator.yaml")
    assert str(refused.value) == (
        f"there is no config {tmp_path / 'digit-generator.yaml'}; did you mean {tmp_path / 'digits-generator.yaml'}?"
    )


@pytest.mark.parametrize(
    ("text", "kind"), [("- a\n- b\n", "list"), ("just words", "str"), ("", "nothing")], ids=["list", "text", "empty"]
)
def test_yaml_that_is_not_a_mapping_is_refused(tmp_path: Path, text: str, kind: str):
    message = refusal(tmp_path, text)
    assert "should hold a mapping of sections" in message
    assert message.endswith(f"it holds {kind}")


def test_what_is_no_yaml_is_refused_in_one_line(tmp_path: Path):
    message = refusal(tmp_path, "train: [1, 2\nname: }")
    assert "cannot be read as YAML" in message
    assert "\n" not in message


def test_yaml_that_would_make_python_objects_is_refused_without_making_them(tmp_path: Path):
    target = tmp_path / "made"
    message = refusal(tmp_path, f"name: !!python/object/apply:pathlib.Path.touch [{target}]")
    assert "cannot be read as YAML" in message
    assert not target.exists()


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_model_config(tmp_path)


def short(file: Path) -> str:
    return str(file.relative_to(ROOT / "configs"))


@pytest.mark.parametrize("file", SHIPPED, ids=short)
def test_a_shipped_config_is_valid(file: Path):
    config = read_model_config(file)
    if file.parent.name == "configs":
        assert config.name == file.stem


def test_shipped_configs_do_not_share_the_name_of_a_model():
    names = [read_model_config(file).name for file in SHIPPED]
    assert sorted(names) == sorted(set(names))


def test_shipped_configs_that_share_a_dataset_agree_on_what_is_in_it():
    datasets: dict[str, Any] = {}
    for file in SHIPPED:
        dataset = read_model_config(file).dataset
        assert datasets.setdefault(dataset.name, dataset) == dataset, short(file)


RESTORER = {"name": "restore", "degradations": [{"kind": "denoise", "name": "noise"}, {"kind": "inpaint"}]}


@pytest.mark.parametrize(
    ("changes", "metric", "says"),
    [
        ({}, "divrsity", "there is no metric 'divrsity' of a model to generate images here, did you mean 'diversity'?"),
        ({}, "label_seven/divrsity", "did you mean 'label_seven/diversity'?"),
        ({}, "psnr", "there are: fd_efficientnet_lite0, kd_efficientnet_lite0, precision_efficientnet_lite0"),
        ({}, "fid", "there is no metric 'fid'"),
        (
            {"evaluate": {"extractor": {"name": "inception"}}},
            "fd_efficientnet_lite0",
            "there are: fid, kid, precision_in",
        ),
        (
            {"evaluate": {"extractor": {"name": "inception", "sha256": "0a1b2c3d" * 8}}},
            "fid",
            "there are: fd_inception_0a1b2c3d, kd_inception_0a1b2c3d",
        ),
        ({"recipe": RESTORER}, "psnr", "there are: noise/psnr, inpaint/psnr"),
        ({"recipe": RESTORER}, "noise/psnr_hole", "did you mean 'noise/psnr"),
        (
            {"recipe": RESTORER},
            "noise/ms_ssim",
            "takes images of 176 pixels a side or more, and train.image.size is 16",
        ),
        ({"recipe": RESTORER}, "label_noise/psnr", "did you mean 'noise/psnr'?"),
        (
            {"recipe": {"name": "style_bank"}, "evaluate": {"num_images": 63}},
            "art_distance",
            "'art_distance' takes 64 images or more, and evaluate.num_images is 63",
        ),
        ({"recipe": {"name": "cut"}}, "reverse/content_ssim", "did you mean 'content_ssim'?"),
        ({"recipe": {"name": "dcgan", "conditional": False}}, "label_7/diversity", "did you mean 'diversity'?"),
    ],
)
def test_a_rule_about_a_metric_that_is_never_measured_is_refused(tmp_path: Path, changes: Any, metric: str, says: str):
    content = changed("promote.rules", [{"metric": metric, "at_least": 0.0}])
    content["train"]["recipe"] = changes.get("recipe", content["train"]["recipe"])
    content["evaluate"] = changes.get("evaluate", content["evaluate"])
    message = refusal(tmp_path, content)
    assert says in message
    assert "promote.rules.0" in message


@pytest.mark.parametrize(
    ("recipe", "metric"),
    [
        (None, "label_any text, 7/diversity"),
        (RESTORER, "inpaint/psnr_hole"),
        ({"name": "cyclegan"}, "reverse/cycle_psnr"),
        ({"name": "style_bank"}, "style_night/style_distance"),
        ({"name": "vae"}, "reconstruction_psnr"),
    ],
)
def test_a_rule_may_be_about_what_the_recipe_is_measured_by(tmp_path: Path, recipe: Any, metric: str):
    content = changed("promote.rules", [{"metric": metric, "at_least": 0.0}])
    content["train"]["recipe"] = recipe or content["train"]["recipe"]
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(content))
    assert read_model_config(file).promote.rules[0].metric == metric


def test_a_comparison_needs_a_metric_with_a_better_direction(tmp_path: Path):
    rules = [{"metric": "nearest_training_distance", "better_than": "champion"}]
    assert "has no better direction" in refusal(tmp_path, changed("promote.rules", rules))


@pytest.mark.parametrize("bound", [{"at_least": 0.0}, {"at_most": 0.0}, {"at_least": -0.5}])
def test_a_multiple_of_a_baseline_is_above_zero(tmp_path: Path, bound: dict[str, float]):
    rules = [{"metric": "diversity", **bound, "of": "baseline"}]
    assert "makes the bound a multiple of the baseline" in refusal(tmp_path, changed("promote.rules", rules))


def test_degradations_that_share_a_name_are_refused_before_anything_is_trained(tmp_path: Path):
    content = changed("promote.rules", [{"metric": "denoise/psnr", "at_least": 0.0}])
    content["train"]["recipe"] = {"name": "restore", "degradations": [{"kind": "denoise"}, {"kind": "denoise"}]}
    assert "share a name" in refusal(tmp_path, content)


def test_a_source_is_a_path_or_a_mapping_that_says_more(tmp_path: Path):
    said = {"path": "builtin:digits", "domain": "photo", "labels": "file", "split_by": "tile"}
    content = changed("dataset.sources", ["inbox", said])
    content["dataset"]["tile"] = 8
    plain, described = read(tmp_path, content).dataset.sources
    assert (plain.path, plain.domain, plain.labels, plain.split_by) == ("inbox", None, "folder", "image")
    assert described.domain == "photo"
    assert [source.model_dump() for source in (plain, described)] == ["inbox", said]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"path": "inbox", "domian": "photo"}, "did you mean 'domain'?"),
        ({"path": "inbox", "labels": "files"}, "'dataset.sources.0.labels': Input should be 'folder' or 'file'"),
        ({"path": "inbox", "domain": "Van Gogh"}, "'van-gogh' would do"),
        ({"path": "inbox", "split_by": "tile"}, "the dataset has no 'tile'"),
        ({"domain": "photo"}, "'dataset.sources.0.path': Field required"),
        (7, "'dataset.sources.0'"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused(tmp_path: Path, source: Any, says: str):
    assert says in refusal(tmp_path, changed("dataset.sources", [source]))


def test_a_source_named_twice_is_refused(tmp_path: Path):
    sources = [{"path": "inbox", "domain": "photo"}, {"path": "inbox", "domain": "painting"}]
    assert "'inbox' is named twice" in refusal(tmp_path, changed("dataset.sources", sources))


@pytest.mark.parametrize(
    "asked",
    ["models:", "models:/x", "models:/x@", "models:/x/latest", "models://x@champion", "runs:/1/bundle", "s3://b/x"],
)
def test_a_model_to_begin_from_that_cannot_be_named_is_refused_when_the_config_is_read(tmp_path: Path, asked: str):
    message = refusal(tmp_path, changed("train.init_from", asked))
    assert f"train.init_from is '{asked}'" in message
    assert "models:/name@champion" in message


@pytest.mark.parametrize("asked", ["models:/other/3", "models:/other@champion", "runs/x/bundle"])
def test_a_registered_model_and_a_folder_can_be_begun_from(tmp_path: Path, asked: str):
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(changed("train.init_from", asked)))
    assert read_model_config(file).train.init_from == asked
