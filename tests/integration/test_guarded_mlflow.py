"""MLflow behind TLS of a private authority and a password: whatever MLflow's own client reads lets a stage in."""

import base64
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.config.settings import Settings
from flows.datasets.in_use import find_in_use
from flows.runtime.records import DatasetVersion
from flows.tracking.errors import TrackingError
from flows.tracking.runs import Tracking
from tests.support.certificates import Certificates, make_certificates
from tests.support.faulty_proxy import FaultyProxy, faulty_proxy
from tests.support.mlflow_server import MlflowServer
from tests.support.project import Project

PASSWORD = "not-the-secret-4ab7"
BASIC = f"Basic {base64.b64encode(f'ada:{PASSWORD}'.encode()).decode()}"
ADA = {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": PASSWORD}
VARIABLES = (
    *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
    *("MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_CLIENT_CERT_PATH", "MLFLOW_TRACKING_INSECURE_TLS"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def proxy(mlflow_server: MlflowServer, certificates: Certificates) -> Iterator[FaultyProxy]:
    """A server that wants a certificate of its clients too, where they have one."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates.certificate)
    tls.load_verify_locations(certificates.authority)
    tls.verify_mode = ssl.CERT_OPTIONAL
    with faulty_proxy(mlflow_server.address, tls) as guarded:
        yield guarded


@pytest.fixture
def enter(
    proxy: FaultyProxy, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Tracking]:
    """Open the guarded MLflow with nothing in the environment but what is given."""
    proxy.authorization = BASIC
    proxy.requests.clear()
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.endpoint)

    def tracking(**environment: str) -> Tracking:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return Tracking(Settings())

    return tracking


@pytest.mark.usefixtures("without_prefect")
def test_a_stage_writes_and_finds_its_version_behind_tls_and_a_password(
    enter: Callable[..., Tracking],
    project: Project,
    build: Callable[[], DatasetVersion],
    certificates: Certificates,
    capfd: pytest.CaptureFixture[str],
):
    tracking = enter(**ADA, MLFLOW_TRACKING_SERVER_CERT_PATH=str(certificates.authority))
    project.edit("dataset", name="guarded")
    (project.images / "digit-1" / "000.png").write_bytes(b"no image")
    version = build()
    assert build().skipped
    assert find_in_use(Settings(), tracking, "guarded").record == version
    assert "no image" not in tracking.fetch(version.run_id, "quarantined.json").read_text()
    told = capfd.readouterr()
    assert PASSWORD not in told.out + told.err


@pytest.mark.parametrize("way", ["bundle", "insecure", "token", "file", "client certificate"])
def test_whatever_mlflows_client_reads_lets_in(
    enter: Callable[..., Tracking], proxy: FaultyProxy, certificates: Certificates, tmp_path: Path, way: str
):
    known = {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(certificates.authority)}
    if way == "bundle":
        enter(**ADA, REQUESTS_CA_BUNDLE=str(certificates.authority)).check()
    elif way == "insecure":
        enter(**ADA, MLFLOW_TRACKING_INSECURE_TLS="true").check()
    elif way == "token":
        proxy.authorization = "Bearer a-token"
        enter(**known, MLFLOW_TRACKING_TOKEN="a-token").check()
    elif way == "file":
        (tmp_path / ".mlflow").mkdir()
        lines = "".join(f"{name.lower()} = {value}\n" for name, value in ADA.items())
        (tmp_path / ".mlflow" / "credentials").write_text(f"[mlflow]\n{lines}")
        enter(**known).check()
    else:
        enter(**known, **ADA, MLFLOW_TRACKING_CLIENT_CERT_PATH=str(certificates.certificate)).check()
    assert len(proxy.requests) == 1


@pytest.mark.parametrize(
    ("environment", "told", "num_requests"),
    [
        ({}, r"of no authority that is known here; set MLFLOW_TRACKING_SERVER_CERT_PATH, or REQUESTS_CA_BUNDLE", 0),
        ({"MLFLOW_TRACKING_INSECURE_TLS": "1"}, r"lets nobody in without a password; set MLFLOW_TRACKING_USERNAME", 1),
        (
            {"MLFLOW_TRACKING_INSECURE_TLS": "1", **ADA, "MLFLOW_TRACKING_PASSWORD": "wr0ng"},
            r"lets nobody in as ada with this password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
            1,
        ),
        (
            {"MLFLOW_TRACKING_INSECURE_TLS": "1", "MLFLOW_TRACKING_TOKEN": "wr0ng"},
            r"lets nobody in with this token; set MLFLOW_TRACKING_TOKEN",
            1,
        ),
        (
            {"MLFLOW_TRACKING_INSECURE_TLS": "1", "MLFLOW_TRACKING_SERVER_CERT_PATH": "/a/file"},
            "what is set for MLflow cannot be used: .*server_cert_path",
            0,
        ),
    ],
)
def test_who_is_not_let_in_is_told_at_once_in_one_sentence_what_to_set(
    enter: Callable[..., Tracking], proxy: FaultyProxy, environment: dict[str, str], told: str, num_requests: int
):
    with pytest.raises(TrackingError, match=told) as refused:
        enter(**environment).check()
    assert len(proxy.requests) == num_requests
    assert "\n" not in str(refused.value)
    assert "wr0ng" not in str(refused.value)
