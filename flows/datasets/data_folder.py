"""Whether the project's `data` folder can hold versions, asked before anything is read."""

from pathlib import Path

from gan_models.errors import AtelierError


class DataFolderError(AtelierError):
    """A folder that DVC cannot version; the message says why and what to do."""


def check_data_folder(root: Path, name: str) -> None:
    """Make sure that the folder of a dataset lies in the project itself.

    Raises:
        DataFolderError: `data` or `data/<name>` is a link, behind which DVC adds nothing, or no folder.
    """
    for place in (root / "data", root / "data" / name):
        shown = place.relative_to(root).as_posix()
        if place.is_symlink():
            raise DataFolderError(
                f"{shown} is a link to {place.readlink()}, and DVC versions nothing behind a link; "
                "put a real folder in its place, or mount the other disk there"
            )
        if place.exists() and not place.is_dir():
            raise DataFolderError(f"{shown} is a file, and has to be a folder; move it away")
