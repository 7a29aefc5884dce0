"""The suite runs in two processes (pytest-xdist), each with one thread: with two threads each they would only spin."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from tests.support.s3_server import s3_server as s3_server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=0, help="what tests of learning draw weights and batches from (0)")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Return what a test of learning draws its weights and batches from; it holds for any (`make test-numerics`)."""
    value: int = request.config.getoption("--seed")
    return value


# In this order files are handed out: long ones first, so that at the end neither process waits for the other.
KINDS = ("integration", "faults", "deploy", "unit")


@pytest.hookimpl(trylast=True)  # after pytest-randomly, whose order within a kind stays
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    kind_of = {item: _kind(item.path) for item in items}
    for item, kind in kind_of.items():
        item.add_marker(kind)
    items.sort(key=lambda item: KINDS.index(kind_of[item]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
        terminalreporter.write_line(f"the same order again: --randomly-seed={config.getoption('randomly_seed')}")


def _kind(file: Path) -> str:
    return file.relative_to(Path(__file__).parent).parts[0]
