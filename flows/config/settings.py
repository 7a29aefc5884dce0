"""Where things are: the schema of the environment.

Standard variables win (`MLFLOW_TRACKING_URI`, `PREFECT_API_URL`, `PREFECT_HOME`, `AWS_*`); Atelier's own begin with
`ATELIER_`. Without any of them everything lives under `.atelier/` of the project, so that deleting it is a clean start.
"""

import json
import os
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from gan_models.errors import AtelierError

# Addresses that are shown to people, and how to give the password instead.
_WHERE_PASSWORDS_GO = {
    "MLFLOW_TRACKING_URI": "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or PGPASSWORD for a database",
    "PREFECT_API_URL": "set PREFECT_API_AUTH_STRING to user:password",
    "ATELIER_MLFLOW_UI": "let the browser ask for it",
    "AWS_ENDPOINT_URL": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
}


class ProjectError(AtelierError):
    """There is no Atelier project where one is looked for; the message says where to go, or what to set."""


class EnvironmentVariableError(AtelierError):
    """A variable of the environment that cannot be used; the message names it, its value and why."""


class Settings(BaseSettings):
    """The environment of one process. Relative paths are relative to the project."""

    # An empty variable is what a shell or a compose file makes of one that is not set.
    model_config = SettingsConfigDict(env_prefix="ATELIER_", env_ignore_empty=True, frozen=True, allow_inf_nan=False)

    project: Path | None = Field(None, description="the folder with configs/ and .dvc/; found from the current one")
    home: Path = Field(Path(".atelier"), description="state: databases, artifacts, checkpoints, caches")
    downloads: Path | None = Field(None, description="of torchvision: sources; without it `.atelier/downloads`")
    dask_address: str | None = Field(None, description="of a Dask scheduler that decodes images; none: done here")
    train_processes: int = Field(
        1,
        ge=1,
        le=1_024,
        description="of one training run on a machine without GPUs; else one a GPU, as the model says",
    )
    gpu_locks: Path = Field(
        Path(tempfile.gettempdir()) / "atelier-gpus",
        description="locks on this machine's GPUs: the same folder for all who share them",
    )
    commit_data: bool = Field(False, description="commit data.dvc to git when a new version was pushed")
    push_data: bool = Field(False, description="push that commit as well, to where git pushes the branch")
    mlflow_ui: str | None = Field(None, description="where a browser finds MLflow, if not at MLFLOW_TRACKING_URI")
    training_memory_gib: float | None = Field(
        None, gt=0, description="what a training may use; without it, nine tenths of the machine's or container's"
    )
    training_minutes: float | None = Field(None, gt=0, description="how long a training may take; none: any time")
    evaluation_memory_gib: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="what an evaluation may use; without it, nine tenths of the machine's or container's",
    )
    evaluation_minutes: float = Field(240, gt=0, le=1e6, description="how long an evaluation may take")
    stage_timeout_minutes: float = Field(
        24 * 60, gt=0, le=1e6, description="how long the parent waits for a remote stage"
    )

    max_attempts: int = Field(
        3, ge=1, le=100, description="how often a flow run is begun whose process or machine dies under it"
    )
    silence_seconds: float = Field(
        90, ge=10, le=3600, description="without a heartbeat until a flow run on a worker is taken for dead"
    )

    def __init__(self, **values: Any) -> None:  # noqa: ANN401
        """Read the environment; `values` win over it.

        Raises:
            EnvironmentVariableError: a variable has a value that cannot be used.
        """
        _refuse_passwords_in_addresses()
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = "; ".join(
                f"ATELIER_{problem['loc'][0]}".upper() + f" is {problem['input']!r}: {problem['msg']}"
                for problem in error.errors()
            )
            raise EnvironmentVariableError(f"{problems}; set it right, or unset it") from None

    @cached_property
    def root(self) -> Path:
        """The project's folder: set, or the nearest one above the current folder that has configs/ and .dvc/.

        Raises:
            ProjectError: there is none, or what is set is none.
        """
        if self.project is not None:
            set_to = self.project.resolve()
            if _is_project(set_to):
                return set_to
            raise ProjectError(
                f"ATELIER_PROJECT is {set_to}, which is not an Atelier project (a folder with configs/ and .dvc/); "
                "set it to your clone, or unset it and change into the clone"
            )
        here = Path.cwd()
        for folder in (here, *here.parents):
            if _is_project(folder):
                return folder
        raise ProjectError(
            f"{here} is not inside an Atelier project (a folder with configs/ and .dvc/); "
            "change into your clone, or set ATELIER_PROJECT to it"
        )

    @cached_property
    def state(self) -> Path:
        """The folder of all state, created when it is missing."""
        folder = self.root / self.home
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def download_folder(self) -> Path:
        """Where torchvision's datasets are, or are put; several projects may share one."""
        return self.state / "downloads" if self.downloads is None else self.root / self.downloads

    @property
    def running_servers(self) -> dict[str, str]:
        """Addresses written by a live `atelier up`, by environment variable; empty when none is running."""
        try:
            up = json.loads((self.state / "up.json").read_text())
            os.kill(up["pid"], 0)
        except (OSError, ValueError, KeyError):
            return {}
        return dict(up["environment"])

    @property
    def mlflow_tracking_uri(self) -> str:
        """The MLflow server, or the SQLite database under `.atelier/`."""
        set_or_running = os.environ.get("MLFLOW_TRACKING_URI") or self.running_servers.get("MLFLOW_TRACKING_URI")
        return set_or_running or self.local_mlflow

    @property
    def local_mlflow(self) -> str:
        """The address of the SQLite database under `.atelier/`."""
        return f"sqlite:///{self.state / 'mlflow.db'}"

    @property
    def mlflow_page(self) -> str | None:
        """Where a browser finds MLflow, None where it has no server."""
        uri = self.mlflow_tracking_uri
        return self.mlflow_ui or (uri if uri.startswith("http") else None)

    @property
    def artifact_root(self) -> Path:
        """Where a local MLflow keeps artifacts: beside its database, with or without its server."""
        database = self.mlflow_tracking_uri.removeprefix("sqlite:///")
        folder = self.state if database == self.mlflow_tracking_uri else Path(database).parent
        return folder / "mlartifacts"

    def environment(self) -> dict[str, str]:
        """Return what this process and those it starts need in their environment, besides what is set already."""
        defaults = {
            "ATELIER_PROJECT": str(self.root),
            "PREFECT_HOME": str(self.state / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
            "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
            "MLFLOW_TRACKING_URI": self.mlflow_tracking_uri,
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5",  # a minute of pauses: a server that restarts costs no stage
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            # A server would send whoever downloads on to its own storage, which it may reach by a name of its network.
            "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
            "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            "DVC_NO_ANALYTICS": "1",
            **self.running_servers,
        }
        return {name: value for name, value in defaults.items() if not os.environ.get(name)}

    def apply(self) -> None:
        """Set `environment()` for this process; to be called before Prefect or MLflow is imported."""
        os.environ.update(self.environment())


def _refuse_passwords_in_addresses() -> None:
    """Refuse addresses that hold a password: they are shown in pages, logs and errors.

    Raises:
        EnvironmentVariableError: one does; the message names the variable, not the password.
    """
    for name, instead in _WHERE_PASSWORDS_GO.items():
        parts = urlsplit(os.environ.get(name, ""))
        if parts.password is not None:
            raise EnvironmentVariableError(
                f"{name} holds a password, which would be shown wherever the address is; "
                f"leave it out ({parts.scheme}://{parts.netloc.rpartition('@')[2]}) and {instead}"
            )


def _is_project(folder: Path) -> bool:
    return (folder / "configs").is_dir() and (folder / ".dvc").is_dir()
