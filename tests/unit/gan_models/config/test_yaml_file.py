"""YAML as a person writes it: what could mean two things, or never end, is refused with its place."""

from pathlib import Path

import pytest

from gan_models.config import ConfigError, read_yaml
from gan_models.config.yaml_file import MAX_BYTES


@pytest.fixture
def refusal(tmp_path: Path):
    """Give the sentence by which a text is refused."""

    def of(text: str) -> str:
        file = tmp_path / "config.yaml"
        file.write_text(text)
        with pytest.raises(ConfigError) as refused:
            read_yaml(file)
        assert "\n" not in str(refused.value)
        return str(refused.value).replace(str(file), "FILE")

    return of


@pytest.mark.parametrize(
    ("text", "line", "key", "first"),
    [
        ("promote: {}\ntrain: {}\npromote: {}\n", 3, "promote", 1),
        ("train:\n  steps: 10\n  seed: 1\n  steps: 20\n", 4, "steps", 2),
        ("dataset:\n  sources: [a]\n  sources: [b]\n", 3, "sources", 2),
        ("rules:\n  - {metric: a, at_least: 1, metric: b}\n", 2, "metric", 2),
        ('steps: 1\n"steps": 2\n', 2, "steps", 1),
        ("a: &x {b: 1}\nc:\n  <<: *x\n  <<: *x\n", 4, "<<", 3),
    ],
)
def test_a_key_that_is_given_twice_is_refused_with_its_line_and_the_first_one(refusal, text, line, key, first):
    assert refusal(text) == (
        f"FILE, line {line} cannot be read as YAML: the key '{key}' is given twice, first in line {first}"
    )


def test_one_key_in_two_mappings_and_a_merge_that_is_overridden_are_not_twice(tmp_path: Path):
    file = tmp_path / "config.yaml"
    file.write_text("base: &base {steps: 1, seed: 2}\ntrain:\n  <<: *base\n  steps: 3\nother: {steps: 4}\n")
    content = read_yaml(file)
    assert content["train"] == {"steps": 3, "seed": 2}
    assert content["other"] == {"steps": 4}


@pytest.mark.parametrize(
    "text",
    [
        "train: " + "[" * 2_000 + "]" * 2_000,
        "train: " + "{a: " * 2_000 + "1" + "}" * 2_000,
        "\n".join("  " * depth + "a:" for depth in range(200)),
        "train: &itself [*itself]",
        "train: &itself\n  within: *itself\n",
    ],
)
def test_nesting_without_an_end_is_refused_in_one_sentence(refusal, text):
    assert refusal(text).endswith("it is nested deeper than a config can be, which is 50 levels")


def test_aliases_that_multiply_are_refused_before_they_do(refusal):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 20)]
    assert refusal("\n".join(lines)).endswith("its aliases make more than 100,000 values")


def test_a_file_that_is_too_large_for_a_config_is_not_parsed(refusal):
    assert refusal("x" * (MAX_BYTES + 1)) == "FILE is larger than a config can be, which is 250,000 bytes"


@pytest.mark.parametrize("value", ["9" * 5_000, "2024-13-45", "0b_", "!!python/object:os.system x", "[1", "'\0'"])
def test_a_value_that_is_none_is_a_config_error_and_no_other(refusal, value):
    assert "cannot be read as YAML: " in refusal(f"train: {value}")


def test_a_file_without_a_mapping_says_what_it_holds(refusal):
    assert refusal("").endswith("it holds nothing")
    assert refusal("- a").endswith("it holds list")
