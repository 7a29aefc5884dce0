"""Runs DVC: its command line, in a process of its own with a time limit, and what it says as one sentence."""

import functools
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from flows.config.settings import Settings
from flows.datasets.errors import VersioningError
from flows.datasets.git import is_in_git
from flows.datasets.secrets import without_secrets
from gan_models.text import one_line

COMMAND_TIMEOUT_SECONDS = 3600
# Files sent or fetched at a time. DVC holds each of them in memory; its default is four for each processor.
JOBS = ("--jobs", "4")
_CHATTER = ("Having any troubles?", "WARNING: Some of the cache files do not exist", "Troubleshooting:")


def dvc(arguments: list[str], folder: Path, settings: Settings) -> str:
    """Return what `dvc` prints, run in `folder`. Where the project is not in git, DVC goes without it.

    Raises:
        VersioningError: it failed, or took longer than an hour.
    """
    command = f"`{shlex.join(['dvc', *arguments])}`"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=folder,
            env=_environment(settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise VersioningError(f"{command} did not end in {COMMAND_TIMEOUT_SECONDS} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if not line.startswith(_CHATTER)]
        reason = one_line(" ".join(lines)) or f"exit code {done.returncode}"
        if re.search(r"encountered an internal error|\(500\)", reason):
            reason += f" (so says the S3 server at {_s3_server(settings)}; the disk that it writes to may be full)"
        raise VersioningError(f"{command} failed: {without_secrets(reason)}")
    return done.stdout.strip()


def dvc_json(arguments: list[str], folder: Path, settings: Settings) -> dict[str, Any]:
    """Return what a command prints with `--json`.

    Raises:
        VersioningError: as for `dvc`.
    """
    return dict(json.loads(dvc([*arguments, "--json"], folder, settings) or "{}"))


def dvc_config(settings: Settings) -> dict[str, str]:
    """Return DVC's settings in the project, such as `remote.local.url`, from all the files that it reads.

    Raises:
        VersioningError: they cannot be read.
    """
    files = [settings.root / ".dvc" / name for name in ("config", "config.local")]
    return dict(
        _read_config(settings, settings.root, tuple(file.stat().st_mtime_ns for file in files if file.exists()))
    )


def _s3_server(settings: Settings) -> str:
    from flows.sources import s3

    config = dvc_config(settings)
    return s3.server(config.get(f"remote.{config.get('core.remote')}.endpointurl"))


@functools.lru_cache(maxsize=4)  # DVC takes seconds to start
def _read_config(settings: Settings, root: Path, changed: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    lines = dvc(["config", "--list"], root, settings).splitlines()
    return tuple((key, value) for key, _, value in (line.partition("=") for line in lines))


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment of DVC: five attempts for each request to S3, unless the environment says otherwise."""
    environment = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "5", **os.environ, "DVC_NO_ANALYTICS": "1"}
    if not is_in_git(settings):
        folder = settings.state / "dvc-without-git"
        folder.mkdir(exist_ok=True)
        (folder / "config").write_text("[core]\n    no_scm = true\n")
        environment["DVC_SYSTEM_CONFIG_DIR"] = str(folder)
    return environment
