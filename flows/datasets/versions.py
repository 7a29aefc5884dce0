"""Versions of datasets: made, found again, and visible in git.

Each dataset is a tracked folder of its own, `data/<name>` with `data/<name>.dvc`, so that a new version of one leaves
the others alone. Writing goes through DVC's command line, under a lock of the project's own: DVC's gives up in seconds.
"""

import configparser
import hashlib
import json
import shlex
import shutil
import subprocess
from pathlib import Path

import yaml

from flows.config.settings import Settings
from flows.datasets.dvc import JOBS, VersioningError, dvc, dvc_config
from flows.datasets.dvc_remote import check_reachable
from flows.runtime.locks import locked
from gan_models.text import one_line

# Only for commits where nobody told git who they are.
_IDENTITY = ["-c", "user.name=Atelier", "-c", "user.email=atelier@localhost"]


class LostVersionError(VersioningError):
    """A version of which something is neither in the cache nor, as it was, in the remote."""


def tracked_md5(settings: Settings, name: str) -> str | None:
    """The MD5 that `data/<name>.dvc` names, or None where the dataset has never been versioned."""
    try:
        return md5_in((settings.root / dvc_file(name)).read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        raise VersioningError(f"data/{name}.dvc is damaged; restore it with `git checkout data/{name}.dvc`") from None


def md5_in(text: str) -> str:
    """The MD5 in the text of a `.dvc` file.

    Raises:
        ValueError: there is none.
    """
    try:
        return str(yaml.safe_load(text)["outs"][0]["md5"])
    except (yaml.YAMLError, KeyError, TypeError, IndexError):
        raise ValueError("no MD5") from None


def dvc_file(name: str) -> str:
    """Where the project, and git, keep what version of a dataset is in use."""
    return f"data/{name}.dvc"


def add_and_push(settings: Settings, name: str) -> str:
    """Version the folder `data/<name>` and send what is new to the default remote.

    Returns:
        The MD5 by which DVC finds this version, such as `1f3c....dir`.

    Raises:
        VersioningError: DVC is not set up, or the remote cannot be reached. `data/<name>.dvc` is then as it was.
    """
    with locked(settings, "dvc"):
        check_reachable(settings)
        file = settings.root / dvc_file(name)
        before = file.read_bytes() if file.exists() else None
        try:
            dvc(["add", f"data/{name}"], settings.root, settings)
            dvc(["push", *JOBS, dvc_file(name)], settings.root, settings)
        except BaseException:  # Ctrl-C too: a version that was not pushed does not exist
            if before is None:
                file.unlink(missing_ok=True)
            else:
                file.write_bytes(before)
            raise
    md5 = tracked_md5(settings, name)
    assert md5 is not None
    return md5


def materialize(settings: Settings, name: str, md5: str) -> Path:
    """The folder with exactly that version, fetched and verified; immutable, shared by all who ask for it.

    A DVC repository without git is made for it under `.atelier/datasets/`, so that any version can be had by its MD5
    while another is in use. A corrupt object in the cache is fetched again.

    Raises:
        LostVersionError: something of it is neither in the cache nor in the remote, or is corrupt there.
        VersioningError: the remote cannot be reached.
    """
    home = settings.state / "datasets" / md5.removesuffix(".dir")
    with locked(settings, f"dataset-{md5.removesuffix('.dir')}"):
        if (home / "complete").exists():
            return home / name
        for _ in range(2):
            shutil.rmtree(home, ignore_errors=True)
            (home / ".dvc").mkdir(parents=True)
            _write_config(settings, home / ".dvc" / "config")
            (home / f"{name}.dvc").write_text(yaml.safe_dump({"outs": [{"md5": md5, "hash": "md5", "path": name}]}))
            if _not_in_cache(settings, md5):
                check_reachable(settings)
                _pull(settings, name, md5, home)
            else:
                dvc(["checkout", f"{name}.dvc"], home, settings)
            corrupt = [path for path, digest in files_of(settings, md5) if _md5_of(home / name / path) != digest]
            if not corrupt:
                (home / "complete").touch()
                return home / name
            for path, digest in files_of(settings, md5):
                if path in corrupt:
                    _in_cache(settings, digest).unlink()
    raise LostVersionError(f"version {md5} of '{name}' is corrupt in the cache and in the remote: {', '.join(corrupt)}")


def restore(settings: Settings, name: str) -> None:
    """Bring `data/<name>` to the version that `data/<name>.dvc` names: in a new clone it is not there yet.

    A folder that holds all of that version is left alone: what it holds besides is work of a run that was cut short.

    Raises:
        VersioningError: as for `materialize`.
    """
    md5, folder = tracked_md5(settings, name), settings.root / "data" / name
    if md5 is None:
        return
    if _in_cache(settings, md5).exists() and all((folder / path).exists() for path, _ in files_of(settings, md5)):
        return
    version = materialize(settings, name, md5)
    arriving = folder.with_name(f".{name}.partial")
    shutil.rmtree(arriving, ignore_errors=True)
    # Copies: what is in data/ may be edited, the cache may not.
    shutil.copytree(version, arriving, copy_function=shutil.copyfile)
    shutil.rmtree(folder, ignore_errors=True)
    arriving.rename(folder)


def files_of(settings: Settings, md5: str) -> list[tuple[str, str]]:
    """Path and MD5 of each file of a version that is in the cache, or was materialized."""
    return [(file["relpath"], file["md5"]) for file in json.loads(_in_cache(settings, md5).read_text())]


def git_commit(settings: Settings) -> str | None:
    """The commit that is checked out, with `-dirty` where files differ from it; None outside a git repository."""
    try:
        commit = git(["rev-parse", "HEAD"], settings)
        return commit + ("-dirty" if git(["status", "--porcelain", "--untracked-files=no"], settings) else "")
    except VersioningError:
        return None


def commit_version(settings: Settings, name: str, message: str | None = None) -> None:
    """Commit what git keeps of a dataset, if it changed: only these files, whatever else is staged.

    Raises:
        VersioningError: the project is not in git, or git refuses.
    """
    paths = (dvc_file(name), f"data/{name}.withdrawn.csv", "data/.gitignore")
    files = [path for path in paths if (settings.root / path).exists()]
    git(["add", "--", *files], settings)
    if git(["status", "--porcelain", "--", *files], settings):
        who = [] if _knows_who(settings) else _IDENTITY
        git([*who, "commit", "--quiet", "-m", message or f"data: new version of {name}", "--", *files], settings)


def git(arguments: list[str], settings: Settings) -> str:
    """What `git` prints.

    Raises:
        VersioningError: it failed, or is not installed.
    """
    try:
        done = subprocess.run(["git", *arguments], cwd=settings.root, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VersioningError(f"git cannot be run: {error}") from None
    if done.returncode:
        raise VersioningError(f"`{shlex.join(['git', *arguments])}` failed: {one_line(done.stderr)}")
    return done.stdout.strip()


def _knows_who(settings: Settings) -> bool:
    try:
        return bool(git(["config", "user.email"], settings))
    except VersioningError:
        return False


def _pull(settings: Settings, name: str, md5: str, home: Path) -> None:
    try:
        dvc(["pull", *JOBS, f"{name}.dvc"], home, settings)
    except VersioningError as error:
        lost = _not_in_cache(settings, md5)
        if not lost:
            raise
        raise LostVersionError(
            f"version {md5} of '{name}' cannot be had whole: {', '.join(lost)} is missing or corrupt in the remote; "
            f"push it again from a machine that has it ({error})"
        ) from None


def _in_cache(settings: Settings, digest: str) -> Path:
    return settings.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]


def _not_in_cache(settings: Settings, md5: str) -> list[str]:
    """What of a version the cache lacks; after a pull, what the remote lacks: of corrupt objects DVC does not say."""
    if not _in_cache(settings, md5).exists():
        return [md5]
    files = files_of(settings, md5)
    return [f"{path} ({digest})" for path, digest in files if not _in_cache(settings, digest).exists()]


def _md5_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _write_config(settings: Settings, file: Path) -> None:
    """The project's own DVC settings, remotes and cache included, for a repository without git elsewhere."""
    config: dict[str, dict[str, str]] = {"cache": {"dir": str(settings.root / ".dvc" / "cache")}}
    for key, value in dvc_config(settings).items():
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
