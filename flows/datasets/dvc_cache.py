"""DVC's cache: where it is, which may be a folder that several projects share, and what of a version it holds."""

import hashlib
import json
import os
from pathlib import Path

from flows.config.settings import Settings
from flows.datasets.dvc import dvc_config
from flows.datasets.errors import VersioningError


def cache_folder(settings: Settings) -> Path:
    """Return the folder of the cache: where DVC's settings say (`dvc cache dir`), or else `.dvc/cache`."""
    return Path(dvc_config(settings).get("cache.dir") or settings.root / ".dvc" / "cache")


def check_cache(settings: Settings) -> str:
    """Return where the cache is.

    Raises:
        VersioningError: it is no folder that can be written to.
    """
    folder = cache_folder(settings)
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise VersioningError(
            f"{folder} cannot be written to; make it so, or name another folder: `dvc cache dir --local <folder>`"
        )
    return str(folder)


def cached(settings: Settings, digest: str) -> Path:
    """Return where the cache has, or would have, the object with an MD5."""
    return cache_folder(settings) / "files" / "md5" / digest[:2] / digest[2:]


def files_of(settings: Settings, md5: str) -> list[tuple[str, str]]:
    """Return path and MD5 of each file of a version whose list of files is in the cache."""
    return [(file["relpath"], file["md5"]) for file in json.loads(cached(settings, md5).read_text())]


def not_in_cache(settings: Settings, md5: str) -> dict[str, str]:
    """Return what of a version the cache lacks, as MD5s by what a person calls them.

    After a pull that is what the remote lacks, or has as something else: DVC names no corrupt objects.
    """
    if not cached(settings, md5).exists():
        return {md5: md5}
    files = files_of(settings, md5)
    return {f"{path} ({digest})": digest for path, digest in files if not cached(settings, digest).exists()}


def md5_of(file: Path) -> str:
    """Return the MD5 of a file, 32 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
