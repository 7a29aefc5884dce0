"""A project that was moved or copied takes its artifacts along: MLflow's database names them by their whole paths."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from flows.config.settings import Settings
from flows.runtime.progress import echo
from gan_models.errors import AtelierError

_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


class ArtifactPathError(AtelierError):
    """A database whose artifacts are somewhere else; the message says what to copy where."""


def follow_project(settings: Settings) -> None:
    """Let a local database name the artifacts that lie next to it, and say so where it did not.

    Without it a project that was moved cannot find its models, and the copy of one writes into the folder of the other.

    Raises:
        ArtifactPathError: the artifacts were not copied along.
    """
    uri, root = settings.mlflow_tracking_uri, settings.artifact_root
    database = Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else settings.state / "mlflow.db"
    if not database.exists():
        return
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        for elsewhere, experiments in _elsewhere(connection, root).items():
            folder = Path(url2pathname(urlsplit(elsewhere).path))
            if folder.exists() and root.exists() and folder.samefile(root):
                continue
            missing = [name for name in experiments if (folder / name).exists() and not (root / name).exists()]
            if missing:
                raise ArtifactPathError(
                    f"{database} is a copy whose artifacts ({', '.join(missing)}) are in {folder} alone; "
                    f"copy that folder to {root} as well"
                )
            for table, column in _COLUMNS:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                    (root.as_uri(), len(elsewhere) + 1, len(elsewhere) + 1, f"{elsewhere}/"),
                )
            echo(f"MLflow    this project was in {folder.parent.parent}; its artifacts are looked for in {root} now")


def _elsewhere(connection: sqlite3.Connection, root: Path) -> dict[str, list[str]]:
    """Return the names of experiments whose artifacts are in another folder than `root`, by that folder's address."""
    try:
        found = connection.execute("SELECT artifact_location FROM experiments").fetchall()
    except sqlite3.OperationalError:  # no tables yet
        return {}
    folders: dict[str, list[str]] = {}
    for (location,) in found:
        folder, _, name = str(location).rpartition("/")
        if folder.startswith("file:") and folder.endswith(f"/{root.name}") and folder != root.as_uri():
            folders.setdefault(folder, []).append(name)
    return folders
