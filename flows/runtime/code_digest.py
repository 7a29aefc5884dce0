"""What code means, as a digest: of the modules that a stage's entry points import, without docstrings and comments.

A stage is done again when this changes, so it holds what can change a result and nothing else. Names are followed
through packages that only pass them on: who imports `TrainConfig` from `gan_models.config` depends on the module that
defines it, and not on every module that the package mentions.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

PACKAGES = Path(__file__).parents[2]  # the folder that holds `flows` and `gan_models`

# Raised by hand when results change for a reason that no module tells, such as another rule for files on the disk.
FORMAT = 1

# These only show what happens. No number, no weight and no image depends on them.
DISPLAY = (
    "flows.runtime.progress",
    "gan_models.escaping",
    "gan_models.training.progress",
    "gan_models.training.dry_run",
    "gan_models.evaluation.report",
    "gan_models.evaluation.figures",
)

# These list what there is, of which a model uses some. A stage has what it uses of them as entry points, or by value,
# so that nothing is done again for what is added.
LISTS = (
    "gan_models.config.recipes",
    "gan_models.config.task",
    "gan_models.evaluation.metrics.catalog",
)

_WITH_DOCSTRING = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def code_digest(*entry_points: str, packages: Path = PACKAGES) -> str:
    """Return the SHA-256, 64 hexadecimal digits, of all code of ours that some modules run.

    Args:
        entry_points: names of modules, such as "gan_models.training.__main__".
        packages: the folder that holds `flows` and `gan_models`.

    Raises:
        ModuleNotFoundError: an entry point does not exist.
    """
    digest = hashlib.sha256(f"{FORMAT}\0".encode())
    for module in import_closure(*entry_points, packages=packages):
        digest.update(f"{module}\0{_code_of(module, packages).meaning}\0".encode())
    return digest.hexdigest()


def import_closure(*entry_points: str, packages: Path = PACKAGES) -> list[str]:
    """Return the names of the modules of ours that some modules import, themselves included, sorted.

    Imports within functions count; imports for type checking alone and modules that only display do not.

    Raises:
        ModuleNotFoundError: an entry point does not exist.
    """
    for module in entry_points:
        if _file_of(module, packages) is None:
            raise ModuleNotFoundError(f"there is no module {module} in {packages}")
    found: set[str] = set()
    waiting = list(entry_points)
    while waiting:
        module = waiting.pop()
        if module not in found and module not in LISTS and not _only_displays(module):
            found.add(module)
            waiting.extend(_imports(module, packages))
    return sorted(found)


def _imports(module: str, packages: Path) -> Iterator[str]:
    for name, attribute in _code_of(module, packages).imports:
        if attribute is not None:
            yield from _defining_module(name, attribute, packages)
        elif _file_of(name, packages):
            yield name


def _defining_module(module: str, name: str, packages: Path) -> Iterator[str]:
    """Yield the module of ours that `from module import name` leads to, through packages that pass the name on."""
    if _file_of(f"{module}.{name}", packages):
        yield f"{module}.{name}"
    elif _file_of(module, packages):
        passed_on = _code_of(module, packages).passed_on.get(name)
        if passed_on:
            yield from _defining_module(*passed_on, packages)
        else:
            yield module


class _Code(NamedTuple):
    """What a module means; what it imports, as (module, name) or (module, None); what names it passes on."""

    meaning: str
    imports: tuple[tuple[str, str | None], ...]
    passed_on: dict[str, tuple[str, str]]


def _code_of(module: str, packages: Path) -> _Code:
    file = _file_of(module, packages)
    assert file is not None, f"{module} was found before"
    return _read(file.read_bytes())


@functools.cache
def _read(source: bytes) -> _Code:
    """Return what a source file means; docstrings are left out, and comments and layout are in no syntax tree."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, _WITH_DOCSTRING) and _has_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    imports: list[tuple[str, str | None]] = []
    for node in _running_code(tree):
        if isinstance(node, ast.Import):
            imports += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level or not node.module:
                raise ValueError(f"line {node.lineno} imports by a relative name, which no digest follows")
            imports += [(node.module, alias.name) for alias in node.names]
    passed_on = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
        for alias in node.names
    }
    return _Code(_dump(tree), tuple(imports), passed_on)


def _dump(node: Any) -> str:  # noqa: ANN401
    """Return a syntax tree as text, without empty fields: versions of Python differ in which of these there are."""
    if isinstance(node, ast.AST):
        fields = (f"{name}={_dump(value)}" for name, value in ast.iter_fields(node) if value not in (None, []))
        return f"{type(node).__name__}({', '.join(fields)})"
    return f"[{', '.join(map(_dump, node))}]" if isinstance(node, list) else repr(node)


def _running_code(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield every node but those that only a type checker reads."""
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING":
        children: Iterable[ast.AST] = tree.orelse
    else:
        yield tree
        children = ast.iter_child_nodes(tree)
    for child in children:
        yield from _running_code(child)


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


@functools.cache
def _file_of(module: str, packages: Path) -> Path | None:
    """Return the file of a module of ours, None for any other."""
    if not module.startswith(("flows", "gan_models")):
        return None
    path = packages.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _only_displays(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in DISPLAY)
