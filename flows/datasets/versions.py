"""Versions of datasets: made, found again, and visible in git.

Each dataset is a tracked folder, `data/<name>`, with an entry of its own in `data.dvc`, so that a new version of one
leaves the others alone. Writing goes through DVC's command line, under a lock of the project's own: DVC's gives up in
seconds.
"""

import configparser
import shutil
from pathlib import Path

import yaml

from flows.config.settings import Settings
from flows.datasets.dvc import JOBS, dvc, dvc_config
from flows.datasets.dvc_cache import cache_folder, cached, files_of, md5_of, not_in_cache
from flows.datasets.dvc_file import FILE, data_path, entry_of, tracked_md5, write_entry
from flows.datasets.dvc_remote import check_reachable, default_remote
from flows.datasets.errors import GoneVersionError, LostVersionError, VersioningError
from flows.datasets.git import commit_files
from flows.datasets.remote_mark import is_bare, is_it_there
from flows.datasets.remote_objects import lacks
from flows.runtime.locks import locked_here

CONTENT = (
    "images"  # the folder of a version, by whatever name of a dataset it is asked for: two may have the same images
)


def add_and_push(settings: Settings, name: str, *, only: str | None = None) -> str:
    """Version the folder `data/<name>` and send what is new to the default remote.

    Args:
        only: the MD5 that the version has to have.

    Returns:
        The MD5 by which DVC finds this version, such as `1f3c....dir`.

    Raises:
        LostVersionError: the folder is not the version that is asked for.
        VersioningError: DVC is not set up, or the remote cannot be reached.
            What `data.dvc` says of the dataset is then as it was.
    """
    with locked_here(settings, "dvc"):
        check_reachable(settings)
        before = entry_of(settings, name)
        try:
            write_entry(settings, name, before or {})
            dvc(["add", data_path(name)], settings.root, settings)
            md5 = tracked_md5(settings, name)
            assert md5 is not None
            if only not in (None, md5):
                raise LostVersionError(f"data/{name} is not version {only} of '{name}'")
            dvc(["push", *JOBS, data_path(name)], settings.root, settings)
            write_entry(settings, name, entry_of(settings, name))  # as DVC wrote it, in order
        except BaseException:  # Ctrl-C too: a version that was not pushed does not exist
            write_entry(settings, name, before)
            raise
    return md5


def materialize(settings: Settings, name: str, md5: str) -> Path:
    """Return the folder with exactly that version, fetched and verified; immutable, shared by all who ask for it.

    A DVC repository without git is made for it under `.atelier/datasets/`, so that any version can be had by its MD5
    while another is in use. A corrupt object in the cache is fetched again.

    Raises:
        GoneVersionError: something of it is neither in the cache nor in the remote.
        LostVersionError: something of it is corrupt in the remote.
        VersioningError: the remote cannot be reached.
    """
    home = materialized_home(settings, md5)
    with locked_here(settings, f"dataset-{md5.removesuffix('.dir')}"):
        if is_materialized(settings, md5):
            return home / CONTENT
        for _ in range(2):
            shutil.rmtree(home, ignore_errors=True)
            (home / ".dvc").mkdir(parents=True)
            write_home_config(settings, md5)
            (home / f"{CONTENT}.dvc").write_text(
                yaml.safe_dump({"outs": [{"md5": md5, "hash": "md5", "path": CONTENT}]})
            )
            if not_in_cache(settings, md5):
                check_reachable(settings)
                _pull(settings, name, md5, home)
            else:
                dvc(["checkout", f"{CONTENT}.dvc"], home, settings)
            corrupt = [path for path, digest in files_of(settings, md5) if md5_of(home / CONTENT / path) != digest]
            if not corrupt:
                (home / "complete").touch()
                return home / CONTENT
            for path, digest in files_of(settings, md5):
                if path in corrupt:
                    cached(settings, digest).unlink()
    raise LostVersionError(f"version {md5} of '{name}' is corrupt in the cache and in the remote: {', '.join(corrupt)}")


def is_materialized(settings: Settings, md5: str) -> bool:
    """Return whether this machine has the folder of a version, whole."""
    home = materialized_home(settings, md5)
    return (home / "complete").exists() and (home / CONTENT).exists()


def materialized_home(settings: Settings, md5: str) -> Path:
    """Return the DVC repository in which a version is, or would be, materialized."""
    return settings.state / "datasets" / md5.removesuffix(".dir")


def restore(settings: Settings, name: str) -> None:
    """Bring `data/<name>` to the version that is in use: in a new clone it is not there yet.

    A folder that holds all of that version is left alone: what it holds besides is work of a run that was cut short.

    Raises:
        VersioningError: as for `materialize`.
    """
    md5, folder = tracked_md5(settings, name), settings.root / data_path(name)
    if md5 is None:
        return
    listed = cached(settings, md5)
    if listed.exists() and all((folder / path).exists() for path, _ in files_of(settings, md5)):
        return
    _replace(folder, materialize(settings, name, md5))


def commit_version(settings: Settings, name: str, message: str | None = None) -> None:
    """Commit what git keeps of a dataset, if it changed: only these files, whatever else is staged.

    Raises:
        VersioningError: the project is not in git, or git refuses.
    """
    with locked_here(settings, "dvc"):  # an entry whose version is on its way to the remote is not committed
        files = [FILE, f"data/{name}.withdrawn.csv"]
        commit_files(settings, files, message or f"data: new version of {name}")


def _replace(folder: Path, version: Path) -> None:
    arriving = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(arriving, ignore_errors=True)
    # Copies: what is in data/ may be edited, the cache may not.
    shutil.copytree(version, arriving, copy_function=shutil.copyfile)
    shutil.rmtree(folder, ignore_errors=True)
    arriving.rename(folder)


def _pull(settings: Settings, name: str, md5: str, home: Path) -> None:
    try:
        dvc(["pull", *JOBS, f"{CONTENT}.dvc"], home, settings)
    except VersioningError as error:
        lost = not_in_cache(settings, md5)
        if not lost:
            raise
        remote = default_remote(settings)
        if md5 in lost and is_bare(settings, remote):
            raise GoneVersionError(
                f"version {md5} of '{name}' cannot be had: nothing in {remote.url} shows that versions were ever sent "
                f"there; {is_it_there(remote)}"
            ) from None
        kind = GoneVersionError if lacks(settings, lost.values()) else LostVersionError
        raise kind(
            f"version {md5} of '{name}' cannot be had whole: {', '.join(lost)} is missing or corrupt in the remote; "
            "run `atelier dataset` with its config where data/ is whole, which sends it again, "
            f"or push it from a machine that has it ({error})"
        ) from None


def write_home_config(settings: Settings, md5: str) -> None:
    """Give the repository of a version the project's own DVC settings of now, remotes and cache included."""
    file = materialized_home(settings, md5) / ".dvc" / "config"
    config: dict[str, dict[str, str]] = {}
    for key, value in dvc_config(settings).items():
        *section, option = key.split(".")
        name = section[0] if len(section) == 1 else f"'{section[0]} \"{'.'.join(section[1:])}\"'"
        config.setdefault(name, {})[option] = value
    config["core"] = {**config.get("core", {}), "no_scm": "true"}
    config["cache"] = {**config.get("cache", {}), "dir": str(cache_folder(settings)), "type": "hardlink,copy"}
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_dict(config)
    file.touch(mode=0o600)
    with file.open("w") as stream:
        parser.write(stream)
