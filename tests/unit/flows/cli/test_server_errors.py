"""`atelier up` tells of errors in its servers' logs, and does not fill the screen with one that repeats."""

from pathlib import Path

import pytest

from flows.cli import server_errors
from flows.cli.server_errors import MAX_SHOWN, ServerErrors

SCHEDULER = """\
03:34:4{second}.142 | ERROR   | docket.dependencies - [   {second}22ms] schedule_recent_deployments()
Traceback (most recent call last):
  File "prefect/server/models/deployments.py", line 1009, in _insert_scheduled_flow_runs
    await session.execute(
sqlalchemy.exc.InvalidRequestError: Can't evaluate bulk DML statement
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "prefect-server.log"


def append(log: Path, text: str) -> None:
    with log.open("a") as stream:
        stream.write(text)


def test_an_error_is_shown_with_the_cause_below_its_traceback(log: Path):
    errors = ServerErrors(log)
    assert errors.new() == []
    append(log, "03:34:41.001 | INFO    | prefect.server - started\n" + SCHEDULER.format(second=1))
    assert errors.new() == [
        "03:34:41.142 | ERROR   | docket.dependencies - [   122ms] schedule_recent_deployments()",
        "sqlalchemy.exc.InvalidRequestError: Can't evaluate bulk DML statement",
    ]


def test_an_error_that_comes_every_minute_is_shown_once_in_a_while(log: Path, monkeypatch: pytest.MonkeyPatch):
    errors = ServerErrors(log)
    append(log, SCHEDULER.format(second=1))
    assert len(errors.new()) == 2
    for second in range(2, 6):
        append(log, SCHEDULER.format(second=second))
        assert errors.new() == []
    monkeypatch.setattr(server_errors, "SECONDS_OF_SILENCE", 0.0)
    append(log, SCHEDULER.format(second=6))
    assert len(errors.new()) == 2


def test_a_log_full_of_different_errors_does_not_fill_the_screen(log: Path):
    append(log, "".join(f"ERROR {letter} is wrong\n" for letter in "abcdefghij"))
    assert len(ServerErrors(log).new()) == MAX_SHOWN


def test_lines_that_speak_of_no_error_are_not_shown(log: Path):
    append(log, "INFO errors: 0\nGET /api/errors 200\nWARNING slow\n")
    assert ServerErrors(log).new() == []
