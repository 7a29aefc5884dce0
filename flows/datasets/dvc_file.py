"""`data.dvc`, where the project and git keep which version of each dataset is in use: one file, one entry a dataset.

Entries are sorted by path and written alike, so that git shows what changed and merges entry by entry. The file is
replaced as a whole under the project's lock: whoever reads it finds the one state or the other.
"""

import re
from typing import Any

import yaml

from flows.config.settings import Settings
from flows.datasets.errors import VersioningError
from gan_models.files import write_durably

FILE = "data.dvc"
_ORDER = ("path", "hash", "md5", "size", "nfiles")
_PATH = re.compile(r"data/[a-z][a-z0-9_-]{0,63}")
_MD5 = re.compile(r"[0-9a-f]+(\.dir)?")

Entry = dict[str, Any]


def data_path(name: str) -> str:
    """Return the folder of a dataset, relative to the project, as the file and DVC's commands name it."""
    return f"data/{name}"


def tracked_md5(settings: Settings, name: str) -> str | None:
    """Return the MD5 of the version that is in use, or None where the dataset has never been versioned.

    Raises:
        VersioningError: the file is damaged.
    """
    md5 = _read(settings).get(data_path(name), {}).get("md5")
    return None if md5 is None else str(md5)


def tracked(settings: Settings) -> dict[str, str]:
    """Return the MD5 of the version in use of every dataset, by the dataset's name.

    Raises:
        VersioningError: the file is damaged.
    """
    entries = _read(settings).items()
    return {path.removeprefix("data/"): str(entry["md5"]) for path, entry in entries if "md5" in entry}


def md5_in(text: str, name: str) -> str | None:
    """Return the MD5 that the text of a `data.dvc` has for a dataset, None where it has none.

    Raises:
        ValueError: it is damaged.
    """
    md5 = _entries(text).get(data_path(name), {}).get("md5")
    return None if md5 is None else str(md5)


def entry_of(settings: Settings, name: str) -> Entry | None:
    """Return what the file says of a dataset.

    Raises:
        VersioningError: the file is damaged.
    """
    return _read(settings).get(data_path(name))


def write_entry(settings: Settings, name: str, entry: Entry | None) -> None:
    """Put an entry in the place of a dataset's, or take it out; the others stay as they are.

    Args:
        entry: at least its `md5`, where DVC is not about to find it; None takes the dataset out.

    Raises:
        VersioningError: the file is damaged.
    """
    entries, path = _read(settings), data_path(name)
    entries.pop(path, None)
    if entry is not None:
        entries[path] = {"path": path, "hash": "md5", **entry}
    file = settings.root / FILE
    if not entries:
        file.unlink(missing_ok=True)
        return
    text = yaml.safe_dump({"outs": [_in_order(entries[path]) for path in sorted(entries)]}, sort_keys=False)
    if not file.exists() or file.read_text() != text:
        write_durably(file, text.encode())


def _read(settings: Settings) -> dict[str, Entry]:
    try:
        return _entries((settings.root / FILE).read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise VersioningError(
            f"{FILE} is damaged ({error}); restore it with `git checkout {FILE}`, "
            "or where git left marks of a conflict keep one entry of each dataset"
        ) from None


def _entries(text: str) -> dict[str, Entry]:
    try:
        content = yaml.safe_load(text)
        entries = {str(entry["path"]): dict(entry) for entry in content["outs"]}
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("it is no list of datasets") from None
    if len(entries) != len(content["outs"]):
        raise ValueError("a dataset is in it twice")
    for path, entry in entries.items():
        if not _PATH.fullmatch(path):
            raise ValueError(f"{path!r} is not the folder of a dataset, which is data/ and its name")
        if "md5" in entry and not (isinstance(entry["md5"], str) and _MD5.fullmatch(entry["md5"])):
            raise ValueError(f"{entry['md5']!r} is not the MD5 of a version of {path}")
    return entries


def _in_order(entry: Entry) -> Entry:
    known = {key: entry[key] for key in _ORDER if key in entry}
    return known | {key: entry[key] for key in sorted(entry.keys() - known.keys())}
