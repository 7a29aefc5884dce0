"""Locks across hosts that share a Prefect server: holders that die or outlive their lease, and a server that restarts.

A host is a folder of state of its own: the file locks of one do not keep out the other.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.config.settings import Settings
from flows.retrain import retrain
from flows.runtime import server_locks
from flows.runtime.locks import locked, locked_here
from flows.runtime.records import DatasetVersion
from flows.runtime.server_locks import ServerLockError
from flows.tracking.metrics_forwarder import MetricsForwarder
from flows.train import train
from tests.support.checked import present
from tests.support.invariants import check_invariants
from tests.support.prefect_server import EmptyPrefect
from tests.support.project import Project
from tests.support.restartable_prefect import RestartablePrefect, restartable_prefect

PATIENCE_SECONDS = 60
NAME = "train-digits"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_prefect: EmptyPrefect) -> Iterator[RestartablePrefect]:
    home = tmp_path_factory.mktemp("prefect")
    empty_prefect.lend(home)
    with restartable_prefect(home) as started:
        yield started


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, Settings]:
    monkeypatch.delenv("ATELIER_HOME", raising=False)
    monkeypatch.setattr(server_locks, "SECONDS_BETWEEN_ATTEMPTS", 0.05)
    for host in ("a", "b"):
        for folder in ("configs", ".dvc"):
            (tmp_path / host / folder).mkdir(parents=True)
    return Settings(project=tmp_path / "a"), Settings(project=tmp_path / "b")


def limits() -> dict[str, int]:
    """The limits that Prefect's page shows, and how many slots of each are taken."""
    with get_client(sync_client=True) as client:
        return {limit.name: limit.active_slots for limit in client.read_global_concurrency_limits()}


class Waiter(threading.Thread):
    """One that wants the lock on a host, and then holds it until it is told."""

    def __init__(self, host: Settings, address: str, name: str = NAME) -> None:
        super().__init__(daemon=True)
        self.host, self.address, self.lock = host, address, name
        self.entered, self.leave = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with temporary_settings({PREFECT_API_URL: self.address}), locked(self.host, self.lock):
            self.entered.set()
            self.leave.wait(PATIENCE_SECONDS)

    def has_entered(self) -> bool:
        return self.entered.wait(PATIENCE_SECONDS)

    def is_kept_out(self) -> bool:
        return not self.entered.wait(0.5)

    def end(self) -> None:
        self.leave.set()
        self.join(PATIENCE_SECONDS)
        assert not self.is_alive()


def die_holding(host: Settings) -> None:
    """Let a process die that holds the lock on a host."""
    child = os.fork()
    if child == 0:
        try:
            held = locked(host, NAME)
            held.__enter__()
        finally:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_what_one_host_works_on_the_other_waits_for_and_is_told_so(
    server: RestartablePrefect, hosts: tuple[Settings, Settings], capsys: pytest.CaptureFixture[str]
):
    a, b = hosts
    with locked(a, NAME):
        assert limits() == {f"atelier-{NAME}": 1}
        other = Waiter(b, server.address)
        assert other.is_kept_out()
        with locked(b, "train-letters"):
            assert limits() == {f"atelier-{NAME}": 1, "atelier-train-letters": 1}, "other work has locks of its own"
        with locked_here(b, NAME + "-here"):
            assert len(limits()) == 1, "what one host alone has is no matter of the server"
    assert other.has_entered()
    other.end()
    assert limits() == {}, "what is not locked has no limit"
    told = capsys.readouterr().out
    assert told.count("waiting for") == 1
    assert f"waiting for 'atelier-{NAME}', which another run holds until it ends, or for 135 s at most" in told


def test_a_holder_that_died_keeps_its_lock_until_its_lease_runs_out(
    server: RestartablePrefect, hosts: tuple[Settings, Settings]
):
    a, b = hosts
    die_holding(a)
    other = Waiter(b, server.address)
    assert other.is_kept_out()
    server.let_leases_run_out()
    assert other.has_entered()
    other.end()
    assert limits() == {}


@pytest.mark.parametrize("name_now", [socket.gethostname(), "a-new-container"])
def test_a_holder_that_died_is_not_waited_for_on_its_own_machine(
    server: RestartablePrefect, hosts: tuple[Settings, Settings], name_now: str, monkeypatch: pytest.MonkeyPatch
):
    die_holding(hosts[0])
    monkeypatch.setattr(socket, "gethostname", lambda: name_now)
    with locked(hosts[0], NAME):
        assert limits() == {f"atelier-{NAME}": 1}
    assert limits() == {}


def test_a_holder_that_wakes_after_its_lease_ran_out_leaves_the_lock_to_its_replacement(
    server: RestartablePrefect, hosts: tuple[Settings, Settings], monkeypatch: pytest.MonkeyPatch
):
    a, b = hosts
    later = SimpleNamespace(time=lambda: time.time() + 2 * server_locks.LEASE_SECONDS, sleep=time.sleep)
    with monkeypatch.context() as context:
        with locked(a, NAME):
            server.let_leases_run_out()
            replacement = Waiter(b, server.address)
            assert replacement.has_entered()
            context.setattr(server_locks, "time", later)
        assert limits() == {f"atelier-{NAME}": 1}
    replacement.end()
    assert limits() == {}


def test_a_holder_whose_limit_a_person_deleted_leaves_the_lock_to_its_replacement(
    server: RestartablePrefect, hosts: tuple[Settings, Settings]
):
    a, b = hosts
    with locked(a, NAME):
        with get_client(sync_client=True) as client:
            client.delete_global_concurrency_limit_by_name(f"atelier-{NAME}")
        replacement = Waiter(b, server.address)
        assert replacement.has_entered()
    assert limits() == {f"atelier-{NAME}": 1}
    replacement.end()
    assert limits() == {}


def test_a_server_that_forgot_its_leases_in_a_restart_leaves_no_lock_behind(
    server: RestartablePrefect, hosts: tuple[Settings, Settings]
):
    a, b = hosts
    with locked(a, NAME):
        server.forget_leases()
        other = Waiter(b, server.address)
        assert other.is_kept_out()
    assert other.has_entered()
    other.end()
    assert limits() == {}


def test_a_training_whose_prefect_server_restarts_completes_and_has_kept_its_lock(
    server: RestartablePrefect,
    project: Project,
    built: DatasetVersion,
    hosts: tuple[Settings, Settings],
    monkeypatch: pytest.MonkeyPatch,
):
    """Fault 9."""
    monkeypatch.setattr(server_locks, "SECONDS_BETWEEN_RENEWALS", 0.1)  # it is asked for while the server is down
    others: list[Waiter] = []
    send_new = MetricsForwarder.send_new

    def send_after_a_restart(self: MetricsForwarder) -> dict[str, Any] | None:
        if not others:
            (name,) = limits()
            server.kill()
            server.start()
            others.append(Waiter(hosts[1], server.address, name.removeprefix("atelier-")))
            assert others[0].is_kept_out()
        return send_new(self)

    monkeypatch.setattr(MetricsForwarder, "send_new", send_after_a_restart)
    state = train(project.config, built, return_state=True)
    assert state.is_completed()
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(present(state.state_details.flow_run_id))
    assert present(run.state).is_completed()
    assert others[0].has_entered()
    others[0].end()
    assert limits() == {}
    check_invariants(project.config, champion=None, again=lambda: retrain(project.config))


def test_a_server_that_does_not_answer_is_named_with_what_to_do(hosts: tuple[Settings, Settings], dead_address: str):
    with (
        temporary_settings({PREFECT_API_URL: f"{dead_address}/api"}),
        pytest.raises(ServerLockError, match=f"the Prefect server at {dead_address}/api gives no lock") as refused,
        locked(hosts[0], NAME),
    ):
        pass
    assert "unset PREFECT_API_URL" in str(refused.value)
    with locked_here(hosts[0], NAME):
        pass
