"""Files that are not used: a copy of each, and a list with the reasons. None is ever lost."""

import csv
import hashlib
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from flows.sources.base import SourceItem
from gan_models.escaping import for_csv


@dataclass(frozen=True)
class QuarantinedFile:
    """A file that is not used. `copy`: the name of its copy in the quarantine folder, empty where there is none."""

    path: str
    source: str
    reason: str
    copy: str


@dataclass
class Quarantine:
    """The folder, and what one build put into it."""

    folder: Path
    files: list[QuarantinedFile] = field(default_factory=list)

    @property
    def list_file(self) -> Path:
        """Return the path of the list."""
        return self.folder / "quarantine.csv"

    @property
    def commonest_reason(self) -> str:
        """Return the reason that most files of this build share."""
        return Counter(entry.reason for entry in self.files).most_common(1)[0][0]

    def add(self, item: SourceItem, data: bytes, reason: str) -> str:
        """Set a file aside.

        Returns:
            The name of its copy; empty where there are no bytes to keep.
        """
        copy = ""
        if data:
            plain = re.sub(r"[^A-Za-z0-9._-]+", "_", item.path.split("/")[-1])[-80:]
            copy = f"{hashlib.sha256(data).hexdigest()[:12]}-{plain}"
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / copy).exists():
                (self.folder / f"{copy}.partial").write_bytes(data)
                (self.folder / f"{copy}.partial").replace(self.folder / copy)
        self.files.append(QuarantinedFile(item.path, item.source, reason, copy))
        return copy

    def write_list(self) -> None:
        """List the files of this build, in place of the last one's."""
        if not self.files and not self.folder.is_dir():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / "quarantine.csv.partial"
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["path", "source", "reason", "copy"])
            writer.writeheader()
            for entry in self.files:
                writer.writerow({name: for_csv(text) for name, text in asdict(entry).items()})
        temporary.replace(self.list_file)
