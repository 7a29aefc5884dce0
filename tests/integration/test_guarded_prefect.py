"""A Prefect server behind a password: who has none is told so, by doctor and before any work."""

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_SSL_CERT_FILE, PREFECT_API_URL, temporary_settings

from flows.cli.doctor import examine
from flows.config.settings import Settings
from flows.runtime.prefect_runs import PrefectServerError, check_server
from tests.support.certificates import make_certificates
from tests.support.faulty_proxy import faulty_proxy
from tests.support.ports import free_port
from tests.support.prefect_server import EmptyPrefect
from tests.support.project import Project

PASSWORD = "admin:not-the-secret-81c2"
PATIENCE_SECONDS = 180


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, empty_prefect: EmptyPrefect) -> Iterator[str]:
    """The address of a Prefect server with a password, whose /health answers everyone."""
    folder, port = tmp_path_factory.mktemp("guarded"), free_port()
    empty_prefect.lend(folder)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={
                **os.environ,
                "PREFECT_HOME": str(folder),
                "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            },
        )
    address = f"http://127.0.0.1:{port}/api"
    try:
        wait_until_healthy(f"{address}/health", server, folder / "log")
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(PATIENCE_SECONDS)


def wait_until_healthy(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            if httpx.get(address, timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.3)
    pytest.fail(log.read_text())


@pytest.mark.usefixtures("project")
def test_doctor_asks_the_server_for_more_than_its_health(
    guarded: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PREFECT_API_URL", guarded)
    with temporary_settings({PREFECT_API_URL: guarded}):
        assert not examine(Settings())
        refused = capsys.readouterr().out
        with temporary_settings({PREFECT_API_AUTH_STRING: PASSWORD}):
            examine(Settings())
        let_in = capsys.readouterr().out
    (line,) = [line for line in refused.splitlines() if line[7:].startswith("Prefect ")]
    assert line.startswith("broken")
    assert f"{guarded} lets nobody in without a password; set PREFECT_API_AUTH_STRING" in line
    assert f"works  Prefect    {guarded}" in let_in
    assert PASSWORD not in refused + let_in


def test_a_private_authority_is_named_and_its_certificate_lets_in(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    certificates = make_certificates(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates.certificate)
    with faulty_proxy(guarded.removesuffix("/api"), tls) as proxy:
        address = f"{proxy.endpoint}/api"
        monkeypatch.setenv("PREFECT_API_URL", address)
        with temporary_settings({PREFECT_API_URL: address, PREFECT_API_AUTH_STRING: PASSWORD}):
            with pytest.raises(PrefectServerError, match="is of no authority that is known here; set PREFECT_API_SSL"):
                check_server()
            with temporary_settings({PREFECT_API_SSL_CERT_FILE: str(certificates.authority)}):
                assert check_server() == address


def test_a_stage_without_the_password_says_what_to_set_and_makes_nothing(
    project: Project, atelier: Callable[..., subprocess.CompletedProcess[str]], guarded: str
):
    refused = atelier("dataset", project.config, PREFECT_API_URL=guarded)
    assert refused.returncode == 1
    (line,) = refused.stderr.strip().splitlines()
    assert "set PREFECT_API_AUTH_STRING" in line
    assert not (project.root / "data" / "tiny").exists()
