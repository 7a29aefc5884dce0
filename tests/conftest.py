"""The suite runs in two processes (pytest-xdist), each with one thread: with two threads each they would only spin."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from tests.support.s3_server import s3_server as s3_server
from tests.support.s3_server import s3_server_to_kill as s3_server_to_kill


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=0, help="what tests of learning draw weights and batches from (0)")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Return what a test of learning draws its weights and batches from; it holds for any (`make test-numerics`)."""
    value: int = request.config.getoption("--seed")
    return value
