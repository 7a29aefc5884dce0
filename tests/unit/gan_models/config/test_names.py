import pytest

from gan_models.config import (
    ConfigError,
    CutConfig,
    CycleganConfig,
    Denoise,
    EvaluateConfig,
    Pix2PixConfig,
    RestoreConfig,
    StyleBankConfig,
    validate,
)
from gan_models.config.names import InvalidNameError, validate_name


@pytest.mark.parametrize("name", ["a", "digits-generator", "photos_2", "x" * 64])
def test_plain_names_are_taken_as_they_are(name):
    assert validate_name(name, "model") == name


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "../etc", "a/b", "a\\b", ".hidden", "-x", "_x", "1x", "Digits", "a b", "x" * 65, "x" * 10**6),
        *("a\n", "a\0", "a\x1b[31m", "a\u202eb", "d\u0131gits", "digi\u200bts", "\uff44igits"),
        *("\u0430bc", "a\u0301", "a\u0663"),
    ],
)
def test_everything_else_is_refused_in_one_printable_line(name):
    with pytest.raises(InvalidNameError, match="cannot name a dataset") as caught:
        validate_name(name, "dataset")
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_a_valid_name_near_it_is_offered():
    with pytest.raises(InvalidNameError, match="'my-model-2' would do"):
        validate_name("../My Model (2)", "model")


REFUSED = ["style_noise", "label_7", "a/b", "../x", "noise_worst", "noise_best", "Noise", "noise 25", "7noise", "", "é"]


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("kind", ["denoise", "inpaint", "deblur", "super_resolution", "watermark"])
def test_a_degradation_has_the_same_names_in_training_and_in_evaluation(kind, name):
    degradation = {"kind": kind, "name": name}
    refusals = []
    for section, content in (
        (RestoreConfig, {"degradations": [degradation]}),
        (EvaluateConfig, {"degradations": [degradation]}),
    ):
        with pytest.raises(ConfigError, match="cannot name a degradation") as refused:
            validate(section, content, "config")
        refusals.append(str(refused.value))
    assert refusals[0].startswith(refusals[1])


def test_a_name_that_looks_like_a_label_or_a_style_is_refused_with_one_that_would_do():
    with pytest.raises(ConfigError, match=r"'style_noise' cannot name a degradation.*'noise' would do"):
        validate(Denoise, {"name": "style_noise"}, "config")
    assert validate(Denoise, {"name": "styled-labels_25"}, "config").name == "styled-labels_25"


@pytest.mark.parametrize("side", ["source_domain", "target_domain"])
@pytest.mark.parametrize("section", [CycleganConfig, CutConfig, Pix2PixConfig, StyleBankConfig])
def test_a_recipe_names_domains_as_a_dataset_does(section, side):
    with pytest.raises(ConfigError, match="'a/b' cannot name a domain"):
        validate(section, {"source_domain": "photo", "target_domain": "map", side: "a/b"}, "config")
