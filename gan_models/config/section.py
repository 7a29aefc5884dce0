"""What every config section shares: frozen, refusing unknown keys, and errors that name the nearest valid one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from gan_models.config.yaml_file import ConfigError
from gan_models.text import did_you_mean, nearest, one_line

MAX_PROBLEMS = 10  # that are told at once


class Section(BaseModel):
    """Base of every config section. A number that is none, or infinite, bounds nothing and is refused everywhere."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _takes_no_switch_for_a_number(cls, content: Any) -> Any:  # noqa: ANN401
        """In YAML `yes`, `on` and `no` are switches, which Python takes for the numbers 1 and 0."""
        for name, value in content.items() if isinstance(content, dict) else ():
            field = cls.model_fields.get(name)
            if field is None or _is_switch(field.annotation):
                continue
            for one in value if isinstance(value, list | tuple) else (value,):
                if isinstance(one, bool):
                    raise ValueError(f"YAML reads '{name}' as {str(one).lower()}; write a number, or text in quotes")
        return content


AnySection = TypeVar("AnySection", bound=BaseModel)


def validate(section: type[AnySection], content: Any, where: str) -> AnySection:  # noqa: ANN401
    """Return `content` as a `section`.

    Raises:
        ConfigError: naming the key, with the nearest valid one where it is unknown.
    """
    try:
        return section.model_validate(content)
    except ValidationError as error:
        every = error.errors()
        problems = [problem for problem in every if not _follows_from_others(problem, every)]
        lines = [_explain(section, dict(problem)) for problem in problems[:MAX_PROBLEMS]]
        lines += [f"and {len(problems) - MAX_PROBLEMS} more"] * (len(problems) > MAX_PROBLEMS)
        raise ConfigError(f"{where}: " + "; ".join(lines)) from None


def _follows_from_others(problem: Mapping[str, Any], problems: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a list is told to be too short only because pydantic does not count its faulty items."""
    if problem["type"] != "too_short":
        return False
    loc = problem["loc"]
    within = (other["loc"] for other in problems if len(other["loc"]) > len(loc))
    return any(other[: len(loc)] == loc for other in within)


def _is_switch(annotation: Any) -> bool:  # noqa: ANN401
    return annotation is bool or any(map(_is_switch, get_args(annotation)))


def _explain(section: type[BaseModel], problem: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}', {_valid_key(section, problem['loc'])}"
    if problem["type"] == "union_tag_invalid":
        tag, expected = str(problem["ctx"]["tag"]), problem["ctx"]["expected_tags"].replace("'", "").split(", ")
        near = nearest(tag, expected)
        hint = f"; did you mean '{near}'?" if near else ""
        return f"'{key}' is '{tag}', which is none of {', '.join(expected)}{hint}"
    line = one_line(problem["msg"].removeprefix("Value error, "))
    return f"'{key}': {line}" if key else line


def _valid_key(section: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """Return what to write for an unknown key: a near one of its section, the place of its name elsewhere, or any."""
    unknown, here = str(loc[-1]), sorted({name for one in _sections_at(section, loc[:-1]) for name in one.model_fields})
    elsewhere = {path.rpartition(".")[2]: path for path in _paths(section)}
    if not nearest(unknown, here) and (near := nearest(unknown, elsewhere)):
        return f"did you mean '{elsewhere[near]}'?"
    return did_you_mean(unknown, here)


def _sections_at(section: type[BaseModel], loc: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """Return the sections that may stand at a place of a config; `loc` as in pydantic's errors, with tags of unions."""
    here = [section]
    for part in loc:
        within = [one for name in here if part in (fields := name.model_fields) for one in _sections(fields[part])]
        tagged = [one for one in here if part in (field.default for field in one.model_fields.values())]
        here = within or tagged or here
    return here


def _sections(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401
    """All sections in an annotation, or in that of a field."""
    annotation = getattr(annotation, "annotation", annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [one for part in get_args(annotation) for one in _sections(part)]


def _paths(section: type[BaseModel]) -> Iterator[str]:
    """Yield the dotted names of all fields in a section and those within it; of two alike, the outer one last."""
    for name, field in section.model_fields.items():
        for within in _sections(field):
            yield from (f"{name}.{path}" for path in _paths(within))
    yield from section.model_fields
