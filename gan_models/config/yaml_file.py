"""Reading a YAML file that a person wrote: strictly, and in bounded time and memory."""

from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from gan_models.errors import AtelierError
from gan_models.text import nearest, one_line

MAX_BYTES = 250_000
MAX_DEPTH = 50
MAX_VALUES = 100_000  # once every alias stands for what it names


class ConfigError(AtelierError, ValueError):
    """A config that cannot be used; the message says where, why and what to write instead."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, is not YAML, or is not a mapping; it gives a key twice; or it is larger or
            deeper than a config can be.
    """
    content = _load(path, _text(path))
    if not isinstance(content, dict):
        held = "nothing" if content is None else type(content).__name__
        raise ConfigError(f"{path} should hold a mapping of sections such as 'train:', it holds {held}")
    return content


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigError(f"{path} is larger than a config can be, which is {MAX_BYTES:,} bytes")
        return content.decode()
    except FileNotFoundError:
        near = nearest(path.name, (file.name for file in path.parent.glob("*.yaml")))
        hint = f"; did you mean {path.parent / near}?" if near else ""
        raise ConfigError(f"there is no config {path}{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {one_line(error)}") from None


def _load(path: Path, text: str) -> Any:  # noqa: ANN401
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        loader.check(root)
        return loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        reason = error.problem or error.context
        raise ConfigError(f"{path}{where} cannot be read as YAML: {one_line(reason or 'it is damaged')}") from None
    except (yaml.YAMLError, ValueError) as error:  # numbers and dates that are none are plain ValueErrors
        raise ConfigError(f"{path} cannot be read as YAML: {one_line(error)}") from None


class _Loader(yaml.SafeLoader):
    """PyYAML's, which takes the last of two equal keys without a word, and any depth until Python's stack ends."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._num_values = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        """Compose one node and those within it, down to MAX_DEPTH."""
        self._depth += 1
        self._refuse_depth(self._depth, self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        node: Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def check(self, node: Node, depth: int = 1) -> None:
        """Refuse keys that are given twice, and aliases that make more of a small file than a config can be.

        Raises:
            yaml.MarkedYAMLError: at the line of the fault.
        """
        self._num_values += 1
        self._refuse_depth(depth, node.start_mark)
        if self._num_values > MAX_VALUES:
            self._refuse(f"its aliases make more than {MAX_VALUES:,} values", node.start_mark)
        if isinstance(node, MappingNode):
            self._refuse_twice(node)
            for key, value in node.value:
                self.check(key, depth + 1)
                self.check(value, depth + 1)
        elif not isinstance(node, ScalarNode):
            for value in node.value:
                self.check(value, depth + 1)

    def _refuse_twice(self, node: MappingNode) -> None:
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, ScalarNode):
                same, line = (key.tag, key.value), key.start_mark.line + 1
                if same in lines:
                    self._refuse(f"the key '{key.value}' is given twice, first in line {lines[same]}", key.start_mark)
                lines[same] = line

    def _refuse_depth(self, depth: int, mark: yaml.Mark) -> None:
        if depth > MAX_DEPTH:
            self._refuse(f"it is nested deeper than a config can be, which is {MAX_DEPTH} levels", mark)

    def _refuse(self, problem: str, mark: yaml.Mark) -> None:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
