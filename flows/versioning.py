"""The only file that talks to DVC.

Each dataset is a tracked folder of its own, `data/<name>` with `data/<name>.dvc`, so that a new version of one leaves
the others alone. Writing goes through DVC's command line, under a lock of the project's own: DVC's gives up in seconds.
"""

import configparser
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from flows.settings import Settings

COMMAND_TIMEOUT_SECONDS = 3600


class VersioningError(RuntimeError):
    """DVC or git could not do what was asked; the message says what and what to do."""


def check_remote(settings: Settings) -> str:
    """What the default remote is, in words, after asking it for something.

    Raises:
        VersioningError: there is none, it does not verify what it sends, or it cannot be reached.
    """
    lines = _dvc(["config", "--list"], settings.root).splitlines()
    config = dict(line.split("=", 1) for line in lines)
    name = config.get("core.remote")
    if name is None:
        raise VersioningError("DVC has no default remote; add one with `dvc remote add --default <name> <url>`")
    if config.get(f"remote.{name}.verify") != "true":
        raise VersioningError(
            f"the remote '{name}' does not verify what it sends; run `dvc remote modify {name} verify true`"
        )
    _dvc(["status", "--cloud", "--remote", name], settings.root)
    return f"{name}, {config[f'remote.{name}.url']}"


def tracked_md5(settings: Settings, name: str) -> str | None:
    """The MD5 that `data/<name>.dvc` names, or None where the dataset has never been versioned."""
    try:
        content = yaml.safe_load(_dvc_file(settings, name).read_text())
        return str(content["outs"][0]["md5"])
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, KeyError, TypeError, IndexError):
        raise VersioningError(f"data/{name}.dvc is damaged; restore it with `git checkout data/{name}.dvc`") from None


def add_and_push(settings: Settings, name: str) -> str:
    """Version the folder `data/<name>` and send what is new to the default remote.

    Returns:
        The MD5 by which DVC finds this version, such as `1f3c....dir`.

    Raises:
        VersioningError: DVC is not set up, or the remote cannot be reached. `data/<name>.dvc` is then as it was.
    """
    with locked(settings, "dvc"):
        file = _dvc_file(settings, name)
        before = file.read_bytes() if file.exists() else None
        try:
            _dvc(["add", f"data/{name}"], settings.root)
            _dvc(["push", f"data/{name}.dvc"], settings.root)
        except BaseException:  # Ctrl-C too: a version that was not pushed does not exist
            if before is None:
                file.unlink(missing_ok=True)
            else:
                file.write_bytes(before)
            raise
    md5 = tracked_md5(settings, name)
    assert md5 is not None
    return md5


def materialise(settings: Settings, name: str, md5: str) -> Path:
    """The folder with exactly that version, fetched and verified; immutable, shared by all who ask for it.

    A DVC repository without git is made for it under `.atelier/datasets/`, so that any version can be had by its MD5
    while another is in use.

    Raises:
        VersioningError: the version is neither in the cache nor in the remote, or an object is corrupt.
    """
    home = settings.state / "datasets" / md5.removesuffix(".dir")
    with locked(settings, f"dataset-{md5.removesuffix('.dir')}"):
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            (home / ".dvc").mkdir(parents=True)
            _write_config(settings, home / ".dvc" / "config")
            (home / f"{name}.dvc").write_text(yaml.safe_dump({"outs": [{"md5": md5, "hash": "md5", "path": name}]}))
            try:
                _dvc(["pull", f"{name}.dvc"], home)
            except VersioningError as error:
                lost = ", ".join(_not_fetched(settings, md5)) or md5
                raise VersioningError(
                    f"version {md5} of '{name}' cannot be had whole: {lost} is missing or corrupt in the remote; "
                    f"push it again from a machine that has it ({error})"
                ) from None
            (home / "complete").touch()
    return home / name


def git_commit(settings: Settings) -> str | None:
    """The commit that is checked out, with `-dirty` where files differ from it; None outside a git repository."""
    try:
        commit = _git(["rev-parse", "HEAD"], settings)
        return commit + ("-dirty" if _git(["status", "--porcelain", "--untracked-files=no"], settings) else "")
    except VersioningError:
        return None


def commit_version(settings: Settings, name: str) -> None:
    """Commit `data/<name>.dvc` to git, if it changed. Only these files are committed, whatever else is staged."""
    files = [f"data/{name}.dvc", "data/.gitignore"]
    _git(["add", *files], settings)
    if _git(["status", "--porcelain", "--", *files], settings):
        _git(["commit", "--quiet", "-m", f"data: new version of {name}", "--", *files], settings)


@contextmanager
def locked(settings: Settings, name: str) -> Iterator[int]:
    """Hold a lock of this project by name, waiting for it; the kernel frees it if the process dies.

    Yields:
        The lock's file descriptor; a child process that inherits it holds the lock as well.
    """
    folder = settings.state / "locks"
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _dvc_file(settings: Settings, name: str) -> Path:
    return settings.root / "data" / f"{name}.dvc"


def _not_fetched(settings: Settings, md5: str) -> list[str]:
    """What of a version a pull did not bring into the cache, which DVC itself does not say of corrupt objects."""

    def stored(digest: str) -> Path:
        return settings.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]

    if not stored(md5).exists():
        return [md5]
    listed = json.loads(stored(md5).read_text())
    return [f"{file['relpath']} ({file['md5']})" for file in listed if not stored(file["md5"]).exists()]


def _write_config(settings: Settings, file: Path) -> None:
    """The project's own DVC settings, remotes and cache included, for a repository without git elsewhere."""
    config: dict[str, dict[str, str]] = {"cache": {"dir": str(settings.root / ".dvc" / "cache")}}
    for line in _dvc(["config", "--list"], settings.root).splitlines():
        key, value = line.split("=", 1)
        *section, option = key.split(".")
        name = section[0] if len(section) == 1 else f"'{section[0]} \"{'.'.join(section[1:])}\"'"
        config.setdefault(name, {})[option] = value
    config["core"] = {**config.get("core", {}), "no_scm": "true"}
    config["cache"]["type"] = "hardlink,copy"
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_dict(config)
    file.touch(mode=0o600)
    with file.open("w") as stream:
        parser.write(stream)


def _dvc(arguments: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=folder,
            env={**os.environ, "DVC_NO_ANALYTICS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise VersioningError(f"`dvc {' '.join(arguments)}` did not end in {COMMAND_TIMEOUT_SECONDS} s") from None
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if not line.startswith("Having any troubles?")]
        reason = " ".join(" ".join(told).split()) or f"exit code {done.returncode}"
        raise VersioningError(f"`dvc {' '.join(arguments)}` failed: {reason}")
    return done.stdout.strip()


def _git(arguments: list[str], settings: Settings) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=settings.root, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VersioningError(f"git cannot be run: {error}") from None
    if done.returncode:
        raise VersioningError(f"`git {' '.join(arguments)}` failed: {' '.join(done.stderr.split())}")
    return done.stdout.strip()
