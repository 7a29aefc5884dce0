"""A run of tests that is green ends with its result and nothing beside it."""

import subprocess
import sys
from pathlib import Path

from tests.support.project import ROOT

LOGS_AT_THE_END = """
import atexit
import tests.support.project
import prefect.main  # as `from prefect import flow` does
from prefect.logging import get_logger

def test_something():
    atexit.register(get_logger().warning, "the server is stopped")
"""


def test_what_prefect_logs_after_the_last_test_is_a_line_and_no_traceback(tmp_path: Path):
    (tmp_path / "test_logs.py").write_text(LOGS_AT_THE_END)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert "the server is stopped" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
