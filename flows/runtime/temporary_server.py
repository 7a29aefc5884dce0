"""The Prefect server that a command without PREFECT_API_URL starts for itself."""

import os
import subprocess
import sys
from typing import Any

import prefect
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings.context import get_current_settings

from flows.runtime.process_tree import ended_with_parent, signals_held


class TemporaryServer(SubprocessASGIServer):
    """Prefect's own, in a session of its own: Ctrl-C is for the command, which still has to tell it how its runs ended.

    Should the command be killed, the server is sent SIGTERM (on Linux).
    """

    def _run_uvicorn_command(self) -> subprocess.Popen[Any]:
        folder = str(prefect.__module_path__.parent)
        factory = ["--app-dir", folder, "--factory", "prefect.server.api.server:create_app", "--lifespan", "on"]
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        marks = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
        settings = get_current_settings().to_environment_variables(exclude_unset=True)
        with signals_held():
            return subprocess.Popen(
                [sys.executable, "-m", "uvicorn", *factory, *address, "--log-level", "error"],
                env={**os.environ, **marks, **settings},
                start_new_session=True,
                preexec_fn=ended_with_parent(),
            )


def use_own_temporary_server() -> None:
    """Let Prefect start this server where it would start its own; it is stopped as that is, when the process ends."""
    TemporaryServer()  # Prefect keeps one a process, and gives it to whoever asks for one
