"""From which code a result came: the commit, and how the files differed from it, kept with the run in MLflow."""

import tempfile
from pathlib import Path

from flows.datasets.errors import VersioningError
from flows.datasets.git import checked_out, difference
from flows.runtime.progress import echo
from flows.runtime.records import Stage
from flows.tracking.runs import Tracking

DIFFERENCE_FILE = "source.diff"


def keep_lineage(tracking: Tracking, run_id: str, stage: Stage) -> str | None:
    """Tag a run with the commit it is made at; where files differ from that, keep the difference as `source.diff`.

    Returns:
        The commit, with `-dirty` where files differ. None where git gives none: its reason is told, and kept as a tag.
    """
    settings = tracking.settings
    try:
        commit = checked_out(settings)
        changes = difference(settings) if commit.endswith("-dirty") else ""
    except VersioningError as error:
        echo(f"{stage:<9} no commit in the lineage: {error}")
        tracking.set_tags(run_id, {"git_refused": str(error)[:4000]})
        return None
    tracking.set_tags(run_id, {"git_commit": commit})
    if changes:
        with tempfile.TemporaryDirectory(dir=settings.state) as folder:
            file = Path(folder) / DIFFERENCE_FILE
            file.write_text(changes)
            tracking.log_files(run_id, [file])
    return commit
