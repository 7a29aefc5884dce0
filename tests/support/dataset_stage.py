"""The dataset stage without its server."""

from collections.abc import Callable, Iterator

import pytest
from prefect.settings import PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

from flows.dataset import dataset
from flows.runtime.records import DatasetVersion
from tests.support.project import Project


@pytest.fixture
def without_prefect() -> Iterator[None]:
    """The stage is called as a plain function: that it runs as a flow is for its own tests."""
    with temporary_settings({PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}):
        yield


@pytest.fixture
def build(project: Project) -> Callable[[], DatasetVersion]:
    """Make a version of the project's dataset."""
    return lambda: dataset.fn(project.config)
