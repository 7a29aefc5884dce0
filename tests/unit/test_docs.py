"""The pages in docs/ and the README say what the tree holds: their diffs, their paths, their links, their tables."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.runtime.code_digest import import_closure
from tests.support.stage_code import stages_of

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])
CONTRIBUTING = (ROOT / "docs/contributing.md").read_text()
# What begins so is a path in this repository, and not one that a person has or that a stage makes.
TOPS = ("benchmarks/", "configs/", "deploy/", "docs/", "examples/", "flows/", "gan_models/", "tests/", ".ci/")
# Pages may leave out the package, as in `datasets/dvc.py`, or the room where they speak of one.
ROOMS = [ROOT / "flows", ROOT / "gan_models", *ROOT.glob("[dfg]*/*/")]
# What a person makes, or a stage.
MADE = {"configs/pets.yaml", "configs/pets-generator.yaml", "configs/x.yaml", "deploy/secrets/"}

of_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def diffs() -> dict[str, list[list[str]]]:
    """Return the lines that each file has by the diffs of contributing.md, in their order, by its path."""
    found: dict[str, list[list[str]]] = {}
    for block in re.findall(r"```diff\n(.*?)```", CONTRIBUTING, re.DOTALL):
        for part in re.split(r"^--- .*\n\+\+\+ b/", block, flags=re.MULTILINE)[1:]:
            path, *lines = part.splitlines()
            found.setdefault(path, []).append([line[1:] for line in lines if line.strip("+ ")])
    return found


def first_missing(lines: list[str], text: str) -> str | None:
    """Return the first of `lines` that does not follow in `text` upon those before it; `...` stands for anything."""
    following = iter(text.splitlines())
    for line in lines:
        parts = re.split(r" ?\.\.\. ?", line)
        if not "".join(parts).strip():
            continue
        pattern = re.compile(".*".join(map(re.escape, parts)) + ".*" * (len(parts) > 1))
        if not any(pattern.fullmatch(candidate) for candidate in following):
            return line
    return None


def test_contributing_shows_every_kind_of_addition() -> None:
    for path in ("gan_models/recipes/vae.py", "gan_models/evaluation/metrics/ms_ssim.py", "flows/sources/bucket.py"):
        assert path in diffs()
    assert "gan_models/images/degradations/watermark.py" in diffs()


@pytest.mark.parametrize("path", diffs())
def test_what_a_diff_adds_stands_in_the_file_in_that_order(path: str) -> None:
    text = (ROOT / path).read_text()
    for lines in diffs()[path]:
        assert first_missing(lines, text) is None


def test_a_line_that_is_not_in_its_place_is_found_missing() -> None:
    text = "import b\nimport a\ndef f(x: int) -> None:\n"
    assert first_missing(["import b", "...", "def f(...)"], text) is None
    assert first_missing(["import a", "import b"], text) == "import b"
    assert first_missing(["def g(...)"], text) == "def g(...)"
    assert first_missing(["import"], text) == "import"


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the file and the heading that each link of a page leads to, but for those on the web."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" not in target:
            file, _, heading = target.partition("#")
            yield file, heading


@of_page
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for file, heading in links(page):
        target = page.parent / file if file else page
        assert target.exists(), file
        if heading:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}, heading


@of_page
def test_paths_that_a_page_names_exist(page: Path) -> None:
    for words in re.findall(r"`([^`\n]+)`", page.read_text()):
        for word in words.split():
            if word in MADE or re.search(r"[<>*{=]|\.\.\.|://", word):
                continue
            if word.startswith(TOPS):
                assert (ROOT / word).exists(), word
            elif re.fullmatch(r"[\w-]+(/[\w-]+)*\.(py|sh|yaml|lock|dvc)", word):
                assert any(place.joinpath(word).exists() for place in (ROOT, page.parent, *ROOMS)), word


def test_architecture_names_every_room_from_the_top_down() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    for contract in contracts:
        for package in contract.get("containers", ()):
            table = page.partition(f"## The rooms of `{package}`")[2].partition("\n## ")[0]
            layers = [re.findall(r"\w+", layer) for layer in contract["layers"]]
            rooms = {room for layer in layers for room in layer}
            assert rooms == {path.stem for path in (ROOT / package).iterdir() if path.stem.strip("_") == path.stem}
            rows = [re.findall(r"`(\w+)(?:/|\.py)`", line.split("|")[1]) for line in table.splitlines() if "|" in line]
            named = [room for row in rows for room in row]
            assert sorted(named) == sorted(rooms)
            height = {room: number for number, layer in enumerate(layers) for room in layer}
            assert [height[room] for room in named] == sorted(height[room] for room in named)


@of_page
def test_commands_of_this_project_exist(page: Path) -> None:
    text = page.read_text()
    for module in re.findall(r"-m ((?:benchmarks|gan_models|flows|tests)[\w.]*)", text):
        place = ROOT.joinpath(*module.split("."))
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), module
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", text, re.MULTILINE)) <= targets


def rows_of_code() -> list[tuple[str, list[bool]]]:
    """Return each path of the table of code, with the stages that it says are done again for it."""
    section = CONTRIBUTING.partition("| code | dataset | train | evaluate |")[2].partition("\n\n")[0]
    rows = []
    for line in section.splitlines()[2:]:
        paths, *stages = [cell.strip() for cell in line.strip("|").split("|")]
        rows += [(path, [stage == "again" for stage in stages]) for path in re.findall(r"`([^`]+)`", paths)]
    return rows


@pytest.mark.parametrize(("path", "said"), rows_of_code())
def test_the_table_says_for_which_code_a_stage_is_done_again(path: str, said: list[bool]) -> None:
    module = path.removesuffix("/").removesuffix(".py").replace("/", ".")
    for stage, again in zip(("dataset", "train", "evaluate"), said, strict=True):
        below = [name for name in import_closure(*stages_of(stage)) if name == module or name.startswith(f"{module}.")]
        assert bool(below) == again
