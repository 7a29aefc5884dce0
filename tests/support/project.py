"""Real projects for the tests of the platform: git, DVC, MLflow on SQLite."""

import logging
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from PIL import Image
from prefect.logging.configuration import ensure_logging_setup
from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console
from sklearn.datasets import load_digits

from flows.config.settings import Settings
from flows.runtime.process_tree import MARK
from flows.tracking.runs import Tracking

ROOT = Path(__file__).parents[2]
LABELS = (0, 1, 7)


@dataclass(frozen=True)
class Project:
    """A small project: a folder of real handwritten digits with three labels, and a config that trains in seconds."""

    root: Path
    config: str = "configs/tiny.yaml"

    @property
    def images(self) -> Path:
        return self.root / "inbox"

    def edit(self, section: str, **values: Any) -> None:
        """Change keys of a section of the config."""
        file = self.root / self.config
        content = yaml.safe_load(file.read_text())
        content.setdefault(section, {}).update(values)
        file.write_text(yaml.safe_dump(content))

    def add_digits(self, first: int, last: int) -> None:
        """Put digits first to last of each label into the inbox."""
        digits = load_digits()
        for label in LABELS:
            folder = self.images / f"digit-{label}"
            folder.mkdir(parents=True, exist_ok=True)
            chosen = digits.images[digits.target == label][first:last]
            for number, pixels in enumerate(chosen, start=first):
                Image.fromarray((pixels / 16 * 255).round().astype("uint8")).save(folder / f"{number:03d}.png")

    def git(self, *arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True).stdout


TINY: dict[str, Any] = {
    "name": "tiny-digits",
    "description": "Three digits, for tests.",
    "dataset": {"name": "tiny", "sources": ["inbox"]},
    "train": {
        "image": {"size": 16, "channels": 1, "fit": "resize"},
        "recipe": {"name": "dcgan", "width": 8, "latent_dim": 8},
        "steps": 12,
        "batch_size": 8,
        "log_every": 2,
        "sample_every": 6,
        "checkpoint_every": 4,
    },
    "evaluate": {"num_images": 24, "extractor": {"size": 32}},
    "promote": {"rules": [{"metric": "diversity", "at_least": 0.0}]},
}


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables: making them takes many times longer than a copy."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


def log_to_the_present_stderr() -> None:
    """Let Prefect's handler look for standard error when it writes.

    It keeps what it finds when Prefect is imported, which is where pytest captures output to, and closes it when a run
    is over: servers and threads that end later would fail to say so, each with a traceback on the terminal.
    """
    ensure_logging_setup()
    for handler in logging.getLogger().handlers:
        if isinstance(handler, PrefectConsoleHandler):
            handler.console = Console(stderr=True, markup=False, highlight=False)


log_to_the_present_stderr()


def make_project(root: Path, database: Path) -> Project:
    """A project in a new git repository, with 30 images of each label in its inbox."""
    project = Project(root)
    (root / "configs").mkdir(parents=True)
    (root / project.config).write_text(yaml.safe_dump(TINY))
    for folder in (".dvc", "data"):
        (root / folder).mkdir()
    for file in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "data/.gitignore", "prefect.yaml"):
        shutil.copy(ROOT / file, root / file)
    (root / ".gitignore").open("a").write("inbox/\n")
    project.add_digits(0, 30)
    (root / ".atelier").mkdir()
    shutil.copy(database, root / ".atelier" / "mlflow.db")
    project.git("init", "--quiet")
    project.git("config", "user.name", "Test")
    project.git("config", "user.email", "test@localhost")
    project.git("add", ".")
    project.git("commit", "--quiet", "-m", "A project")
    return project


class Snapshot:
    """A project as it was at one moment, so that tests can share what took long to make and still come in any order."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self._copy = folder / "snapshot"
        shutil.copytree(project.root, self._copy, symlinks=True)

    def restore(self) -> Project:
        """Bring the project back, at its own path: MLflow names artifacts by their whole paths."""
        for entry in self.project.root.iterdir():
            if entry.name != ".atelier":
                _remove(entry)
        state, database = self.project.root / ".atelier", self.project.root / ".atelier" / "mlflow.db"
        for entry in state.iterdir():
            if entry != database:
                _remove(entry)
        shutil.copytree(
            self._copy,
            self.project.root,
            symlinks=True,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns(f"{database.name}*"),
        )
        # Through SQLite: MLflow's client holds the file open.
        with (
            closing(sqlite3.connect(self._copy / ".atelier" / database.name)) as then,
            closing(sqlite3.connect(database, timeout=60)) as now,
        ):
            then.backup(now)
        return self.project


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def hear_ctrl_c() -> None:
    """For `preexec_fn`: a child of a process in the background, as in CI, would ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start_stage(project: Project, server: str | None, stage: str, mark: str = "") -> subprocess.Popen[str]:
    """Start a stage of the project as a person does in a terminal: in a process group of its own that hears Ctrl-C.

    Without a server, it starts Prefect's temporary one. Whatever it starts carries the mark.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("atelier")), stage, project.config],
        cwd=project.root,
        env={**environment, **({"PREFECT_API_URL": server} if server else {}), MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )


def point_environment(monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    """Let this process, and those it starts, work in the project."""
    for name in ("ATELIER_HOME", "ATELIER_COMMIT_DATA", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ATELIER_PROJECT", str(project.root))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project.root / '.atelier' / 'mlflow.db'}")
    monkeypatch.chdir(project.root)
    for name, value in Settings().environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def project(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A fresh project that this process works in."""
    made = make_project(tmp_path / "project", empty_database)
    point_environment(monkeypatch, made)
    return made


@pytest.fixture
def atelier(project: Project) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in the project, as a person would."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("atelier")), *arguments],
            cwd=project.root,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture
def tracking(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    """The MLflow of an empty folder, on SQLite."""
    before = mlflow.get_tracking_uri()
    monkeypatch.delenv("ATELIER_HOME", raising=False)
    for name in ("configs", ".dvc"):
        (tmp_path / name).mkdir()
    settings = Settings(project=tmp_path)
    shutil.copy(empty_database, settings.state / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{settings.state / 'mlflow.db'}")
    yield Tracking(settings)
    mlflow.set_tracking_uri(before)


@pytest.fixture
def dead_address() -> Iterator[str]:
    """An address of this machine that nobody answers at, and that nobody else can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
