"""What every config section shares: frozen, refusing unknown keys, and errors that name the nearest valid one."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from gan_models.errors import AtelierError


class ConfigError(AtelierError, ValueError):
    """A config that cannot be used; the message says where, why and what to write instead."""


class Section(BaseModel):
    """Base of every config section."""

    model_config = ConfigDict(frozen=True, extra="forbid")


AnySection = TypeVar("AnySection", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, is not YAML, or is not a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")], n=1, cutoff=0.3)
        hint = f"; did you mean {path.parent / near[0]}?" if near else ""
        raise ConfigError(f"there is no config {path}{hint}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path} should hold a mapping of sections such as 'train:', it holds {type(content).__name__}"
        )
    return content


def validate(section: type[AnySection], content: Any, where: str) -> AnySection:  # noqa: ANN401
    """`content` as a `section`.

    Raises:
        ConfigError: naming the key, with the nearest valid one where it is unknown.
    """
    try:
        return section.model_validate(content)
    except ValidationError as error:
        lines = [_explain(section, dict(problem)) for problem in error.errors()]
        raise ConfigError(f"{where}: " + "; ".join(lines)) from None


def _explain(section: type[BaseModel], problem: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        unknown = str(problem["loc"][-1])
        near = difflib.get_close_matches(unknown, sorted(set(_field_names(section))), n=1)
        return f"unknown key '{key}'" + (f", did you mean '{near[0]}'?" if near else "")
    if problem["type"] == "union_tag_invalid":
        expected = problem["ctx"]["expected_tags"].replace("'", "").split(", ")
        near = difflib.get_close_matches(str(problem["ctx"]["tag"]), expected, n=1, cutoff=0.3)
        hint = f", did you mean '{near[0]}'?" if near else ""
        return f"'{key}' is '{problem['ctx']['tag']}', which is none of {', '.join(expected)}{hint}"
    return f"'{key}': {problem['msg']}"


def _field_names(annotation: Any) -> Iterator[str]:  # noqa: ANN401
    """Names of all fields in a section and the sections within it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield name
            yield from _field_names(field.annotation)
    else:
        for part in get_args(annotation):
            yield from _field_names(part)
