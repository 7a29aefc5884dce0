"""What a stage tells Prefect, and that it tells nobody where it is called as a plain function."""

import pytest
from prefect.server.api.server import SubprocessASGIServer

from flows.runtime.prefect_runs import announce, leave_artifact, name_flow_run


def test_outside_of_a_flow_run_nothing_is_told_and_no_server_is_started_for_it(monkeypatch: pytest.MonkeyPatch):
    started: list[SubprocessASGIServer] = []
    monkeypatch.setattr(SubprocessASGIServer, "start", lambda self, timeout=None: started.append(self))
    announce("atelier.dataset.versioned", "atelier.dataset.tiny", "tiny", {})
    name_flow_run("dataset tiny")
    leave_artifact("dataset-tiny", "text", "description")
    assert started == []
