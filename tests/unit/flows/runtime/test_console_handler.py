"""A flow run outlives the terminal that its log goes to."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.project import ROOT

PROGRAM = """
import sys
from pathlib import Path
from prefect.logging import get_logger
from prefect.logging.configuration import ensure_logging_setup
ensure_logging_setup()
for word in ("one", "two"):
    get_logger("flow_runs").error(word)
Path(sys.argv[1]).write_text("went on")
"""


def test_a_log_that_nobody_reads_any_more_ends_no_flow_run(tmp_path: Path):
    reads, writes = os.pipe()
    os.close(reads)
    handler = {"PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS": "flows.runtime.console_handler.PatientConsoleHandler"}
    done = tmp_path / "done"
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(done)],
        cwd=ROOT,
        env={**os.environ, **handler, "PREFECT_HOME": str(tmp_path)},
        stdout=writes,
        stderr=writes,
        check=True,
    )
    os.close(writes)
    assert done.read_text() == "went on"
