"""Labels as they are kept, and what the folders of a source say of its files."""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

# Folders of these names divide images; no dataset was found that calls its classes so.
_SPLIT_FOLDERS = frozenset(
    ("train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation")
)


def label_text(text: str) -> str | None:
    """Return a label as it is kept: composed Unicode without spaces around it; None where nothing is left."""
    return unicodedata.normalize("NFC", text).strip() or None


def first_folder(name: str) -> str | None:
    """Return the first folder in a path that has a name; None for a file that lies in none."""
    return next((part for part in name.split("/")[:-1] if label_text(part)), None)


@dataclass(frozen=True)
class FolderLabels:
    """The rule by which the folders of one source are labels. `level`: of the folder that is, from 0; None for none."""

    level: int | None = None
    notes: tuple[str, ...] = ()

    def of(self, name: str) -> str | None:
        """Return the label of the file with this path; None where it lies in no such folder."""
        if self.level is None:
            return None
        folders = [label for part in name.split("/")[:-1] if (label := label_text(part))]
        return folders[self.level] if len(folders) > self.level else None


def labels_by_folder(folders: Collection[str], spec: str) -> FolderLabels:
    """Return the rule for a source whose files lie in these first folders.

    The first folder is the label. Where all of them are named as the parts of a divided dataset (`train`, `val`,
    `test`), they only order its images, and the folder below is the label.
    """
    names = sorted(folders)
    if names and all(name.strip().casefold() in _SPLIT_FOLDERS for name in names):
        listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        note = (
            f"the folders {listed} of {spec!r} are taken for its division and not for labels, which are one level "
            "deeper; which images are for evaluation is decided by `evaluation_share` alone"
        )
        return FolderLabels(1, (note,))
    parts = [name for name in names if name.strip().casefold() in _SPLIT_FOLDERS]
    notes = []
    if len(parts) > 1:
        notes.append(
            f"the folders {', '.join(parts)} of {spec!r} are labels, as are those next to them; where they are meant "
            "as a division, name each of them as a source of its own"
        )
    changed = [name for name in names if label_text(name) != name]
    if changed:
        notes.append(
            f"{len(changed)} folders of {spec!r} are labels without the spaces around their names, such as "
            f"{changed[0]!r}"
        )
    return FolderLabels(0, tuple(notes))
