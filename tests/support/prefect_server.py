"""A real Prefect server, one for the session, and what other servers begin with."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_SERVER_DATABASE_CONNECTION_URL,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness


class EmptyPrefect:
    """A Prefect database with its tables: making them takes longer than all else that a server does to start."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def lend(self, prefect_home: Path) -> None:
        """Let a server whose PREFECT_HOME this is begin with it."""
        prefect_home.mkdir(parents=True, exist_ok=True)
        shutil.copy(self._database, prefect_home / "prefect.db")


@pytest.fixture(scope="session")
def prefect_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, EmptyPrefect]]:
    """The server of the session, with a database of its own, and that database as it was before any test."""
    without_heartbeats = temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})
    with prefect_test_harness(server_startup_timeout=120), without_heartbeats:
        used = str(PREFECT_SERVER_DATABASE_CONNECTION_URL.value()).removeprefix("sqlite+aiosqlite:///")
        empty = tmp_path_factory.mktemp("prefect") / "prefect.db"
        with closing(sqlite3.connect(used, timeout=60)) as source, closing(sqlite3.connect(empty)) as copy:
            source.backup(copy)
        yield str(PREFECT_API_URL.value()), EmptyPrefect(empty)


@pytest.fixture(scope="session")
def prefect_server(prefect_servers: tuple[str, EmptyPrefect]) -> str:
    """The address of the server of the session."""
    return prefect_servers[0]


@pytest.fixture(scope="session")
def empty_prefect(prefect_servers: tuple[str, EmptyPrefect]) -> EmptyPrefect:
    """What a server of a test's own begins with."""
    return prefect_servers[1]
