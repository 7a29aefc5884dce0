"""What sections refuse: numbers that bound nothing or that no machine could serve, and keys that there are not."""

from typing import Any, get_args

import annotated_types
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flows.config.model_config import ModelConfig
from flows.config.promote_section import Rule
from gan_models.config import ConfigError, TrainConfig, validate
from tests.support.project import TINY


def sections(annotation: Any) -> set[type[BaseModel]]:
    """All sections of the schema below an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}.union(*(sections(field.annotation) for field in annotation.model_fields.values()))
    return set().union(*(sections(part) for part in get_args(annotation)))


def numbers(annotation: Any, metadata: tuple[Any, ...] = ()) -> list[tuple[type, tuple[Any, ...]]]:
    """The kinds of numbers in an annotation, with what limits each."""
    if annotation in (int, float):
        return [(annotation, metadata)]
    within = getattr(annotation, "__metadata__", ())
    limits = [limit for one in within for limit in (one.metadata if isinstance(one, FieldInfo) else [one])]
    return [number for part in get_args(annotation) for number in numbers(part, (*metadata, *limits))]


FIELDS = sorted(
    (
        (section.__name__, name, field)
        for section in sections(ModelConfig)
        for name, field in section.model_fields.items()
        if numbers(field.annotation)
    ),
    key=lambda found: found[:2],
)


def test_there_are_numbers_to_look_at():
    assert {("TrainConfig", "steps"), ("RestoreConfig", "blocks"), ("Rule", "at_least")} <= {f[:2] for f in FIELDS}


@pytest.mark.parametrize(("section", "name", "field"), FIELDS, ids=[f"{section}.{name}" for section, name, _ in FIELDS])
def test_every_whole_number_of_a_config_has_an_upper_bound(section: str, name: str, field: FieldInfo):
    for kind, limits in numbers(field.annotation, tuple(field.metadata)):
        bounded = any(isinstance(limit, annotated_types.Le | annotated_types.Lt) for limit in limits)
        assert bounded or kind is float, f"{section}.{name} can be any size"


def changed(key: str, value: Any) -> dict[str, Any]:
    """The train section of the tests' config with one key changed."""
    head, _, rest = key.partition(".")
    section: dict[str, Any] = {**TINY["train"]}
    return {**section, head: {**section[head], rest: value}} if rest else {**section, head: value}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("recipe.width", 1_000_000_000),
        ("recipe.latent_dim", 10**9),
        ("steps", 10**12),
        ("batch_size", 10**9),
        ("seed", -1),
        ("recipe.betas", [0.5, 1.0]),
    ],
)
def test_a_number_that_no_machine_could_serve_is_refused_when_it_is_read(key: str, value: Any):
    with pytest.raises(ConfigError, match=f"'{key}|'recipe.dcgan"):
        validate(TrainConfig, changed(key, value), "train")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), ".nan", "inf"])
@pytest.mark.parametrize("bound", ["at_least", "at_most"])
def test_a_bound_that_is_no_finite_number_is_refused(bound: str, number: Any):
    with pytest.raises(ConfigError, match=bound):
        validate(Rule, {"metric": "diversity", bound: number}, "rule")


@pytest.mark.parametrize("key", ["steps", "image.size", "image.channels"])
def test_a_switch_is_no_number(key: str):
    with pytest.raises(ConfigError, match=f"YAML reads '{key.split('.')[-1]}' as true; write a number"):
        validate(TrainConfig, changed(key, True), "train")


@pytest.mark.parametrize("value", [True, "auto"])
def test_a_key_that_is_a_switch_or_a_word_takes_both(value: Any):
    assert validate(TrainConfig, {**TINY["train"], "speed": {"channels_last": value}}, "").speed.channels_last == value


def test_a_switch_in_a_list_of_numbers_is_no_number():
    with pytest.raises(ConfigError, match="YAML reads 'blocks' as true; write a number"):
        validate(TrainConfig, changed("recipe", {"name": "restore", "blocks": [1, True, 1, 1]}), "train")


def test_a_list_whose_only_item_is_faulty_is_not_told_to_be_empty():
    recipe = {"name": "restore", "degradations": [{"kind": "denoise", "name": "a/b"}]}
    with pytest.raises(ConfigError, match="cannot name a degradation") as refused:
        validate(TrainConfig, changed("recipe", recipe), "train")
    assert "at least 1 item" not in str(refused.value)


def test_a_fault_of_a_whole_section_is_told_without_an_empty_name():
    with pytest.raises(ConfigError, match=r"^train: YAML reads 'steps' as true"):
        validate(TrainConfig, changed("steps", True), "train")


def test_every_section_refuses_what_is_no_finite_number():
    loose = {one.__name__ for one in sections(ModelConfig) if one.model_config.get("allow_inf_nan", True)}
    assert loose == set()


def refused(content: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as error:
        validate(TrainConfig, content, "train")
    return str(error.value)


def test_an_unknown_key_is_answered_with_the_nearest_of_its_own_section():
    assert refused(changed("recipe.widht", 8)) == "train: unknown key 'recipe.dcgan.widht', did you mean 'width'?"


def test_an_unknown_key_that_belongs_elsewhere_is_answered_with_its_place():
    assert refused(changed("width", 8)) == "train: unknown key 'width', did you mean 'recipe.width'?"


def test_an_unknown_key_without_a_near_one_is_answered_with_the_valid_ones():
    message = refused(changed("image.qqqqqq", 8))
    assert message == "train: unknown key 'image.qqqqqq', there are: channels, fit, size"


def test_many_problems_are_told_in_a_sentence_that_ends():
    assert refused({**TINY["train"], **{f"zz{i}": 1 for i in range(1_000)}}).endswith("; and 990 more")


def test_images_too_small_for_ssim_are_refused_before_training():
    recipe = {"name": "restore", "blocks": [1, 1], "ssim_weight": 0.5}
    with pytest.raises(ConfigError, match=r"SSIM takes images of 11 pixels or more.*ssim_weight to 0"):
        validate(TrainConfig, {"image": {"size": 8}, "recipe": recipe, "steps": 1}, "train")
