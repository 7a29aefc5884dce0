"""The process of a run reads the config that a person wrote, nulls included."""

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from flows.config.model_config import ModelConfig, read_model_config
from flows.config.run_config import write_run_config
from gan_models.config import read_evaluate_config, read_train_config
from tests.support.project import ROOT

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
NAMES = [str(file.relative_to(ROOT / "configs")) for file in CONFIGS]


def read_back(model: ModelConfig, folder: Path) -> ModelConfig:
    file = folder / "config.yaml"
    write_run_config(model, file, ROOT)
    return read_model_config(file)


def with_whole_paths(model: ModelConfig) -> ModelConfig:
    """The config as a run's file has to say it."""
    evaluate = model.evaluate
    if evaluate.unseen_style is None:
        return model
    evaluate = evaluate.model_copy(update={"unseen_style": ROOT / evaluate.unseen_style})
    return model.model_copy(update={"evaluate": evaluate})


@pytest.mark.parametrize("file", CONFIGS, ids=NAMES)
def test_a_config_that_is_written_for_a_run_is_read_back_as_it_was(file: Path, tmp_path: Path):
    model = read_model_config(file)
    assert read_back(model, tmp_path) == with_whole_paths(model)
    assert read_train_config(tmp_path / "config.yaml") == model.train
    assert read_evaluate_config(tmp_path / "config.yaml") == with_whole_paths(model).evaluate


def test_a_watch_that_is_switched_off_stays_off_in_the_trainer(tmp_path: Path):
    content = read_model_config(ROOT / "configs/digits-generator.yaml").model_dump()
    content["train"]["health"]["max_discriminator_accuracy"] = None
    write_run_config(ModelConfig.model_validate(content), tmp_path / "config.yaml", ROOT)
    assert read_train_config(tmp_path / "config.yaml").health.max_discriminator_accuracy is None


def nullable(section: BaseModel, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
    """Every key of a config that may be null: its section, its name, and the way to it."""
    for name, field in type(section).model_fields.items():
        if types.NoneType in get_args(field.annotation):
            yield type(section).__name__, name, (*path, name)
        value = getattr(section, name)
        for index, one in enumerate(value) if isinstance(value, tuple) else [(None, value)]:
            if isinstance(one, BaseModel):
                yield from nullable(one, (*path, name) if index is None else (*path, name, index))


def as_content(value: Any) -> Any:
    """A config as nested dictionaries with all its keys, as nothing else writes it."""
    if isinstance(value, BaseModel):
        return {name: as_content(getattr(value, name)) for name in type(value).model_fields}
    return [as_content(one) for one in value] if isinstance(value, tuple) else value


def nullable_keys_of(annotation: Any) -> set[tuple[str, str]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        own = {
            (annotation.__name__, n) for n, f in annotation.model_fields.items() if type(None) in get_args(f.annotation)
        }
        return own.union(*(nullable_keys_of(field.annotation) for field in annotation.model_fields.values()))
    return set().union(*(nullable_keys_of(part) for part in get_args(annotation)))


def test_every_key_that_may_be_null_is_read_back_as_null(tmp_path: Path):
    tried: set[tuple[str, str]] = set()
    for file in CONFIGS:
        model = with_whole_paths(read_model_config(file))
        for section, name, path in nullable(model):
            content = changed = as_content(model)
            for part in path[:-1]:
                changed = changed[part]
            changed[path[-1]] = None
            try:
                wanted = ModelConfig.model_validate(content)
            except ValidationError:  # the only bound of a rule, one side of a pair
                continue
            if (section, name) not in tried:
                assert read_back(wanted, tmp_path) == wanted, path
                tried.add((section, name))
    assert tried == nullable_keys_of(ModelConfig)
