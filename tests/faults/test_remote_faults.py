"""Versions in S3 when it fails: gone midway, corrupt, throttled, silent, or closed to us (faults 17, 18, 19, 46)."""

import hashlib
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.config.settings import Settings
from flows.datasets import versions
from flows.datasets.errors import VersioningError
from tests.support.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.support.s3_server import SECRETS, S3Server, no_credentials

SHARDS = {f"shard-{number:05d}.parquet": random.Random(number).randbytes(200_000) for number in range(8)}


@dataclass(frozen=True)
class Place:
    """A project whose remote is a bucket."""

    root: Path
    bucket: str

    @property
    def dvc_file(self) -> Path:
        return self.root / "data.dvc"

    def write(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            path = self.root / "data" / "alpha" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def read(self, folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def make_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Place]:
    """Makes a project with a remote at an address, that this process works in as the owner of the server."""

    def make(server: S3Server, endpoint: str) -> Place:
        root, bucket = tmp_path / "project", server.new_bucket()
        (root / "configs").mkdir(parents=True)
        (root / ".dvc").mkdir()
        (root / ".dvc" / "config").write_text(
            "[core]\n    analytics = false\n    remote = s3\n"
            f"['remote \"s3\"']\n    url = s3://{bucket}/datasets\n    endpointurl = {endpoint}\n    verify = true\n"
            "    connect_timeout = 5\n    read_timeout = 3\n"
        )
        subprocess.run(["git", "init", "--quiet", root], check=True)
        become(monkeypatch, server.environment())
        monkeypatch.setenv("ATELIER_PROJECT", str(root))
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
        monkeypatch.delenv("ATELIER_HOME", raising=False)
        return Place(root, bucket)

    return make


def become(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def key_of(content: bytes) -> str:
    md5 = hashlib.md5(content).hexdigest()
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def puts(proxy: FaultyProxy) -> int:
    return sum(method == "PUT" for method, _ in proxy.requests)


@pytest.fixture
def proxied(s3_server: S3Server, make_place: Callable[..., Place]):
    """A project and the proxy between it and its remote."""
    with faulty_proxy(s3_server.endpoint) as proxy:
        yield make_place(s3_server, proxy.endpoint), proxy


def test_a_server_that_goes_while_a_version_is_sent_gets_only_what_it_lacks_the_next_time(
    s3_server: S3Server, proxied: tuple[Place, FaultyProxy]
):
    place, proxy = proxied
    place.write(SHARDS)
    proxy.fault = lambda method, path: "reset" if puts(proxy) > 3 else None  # from then on nothing is answered
    with pytest.raises(VersioningError, match="push"):
        versions.add_and_push(Settings(), "alpha")
    assert not place.dvc_file.exists(), "a version that was not sent whole does not exist"

    held = {found["Key"] for found in s3_server.client().list_objects_v2(Bucket=place.bucket).get("Contents", [])}
    proxy.fault = lambda method, path: None
    proxy.requests.clear()
    md5 = versions.add_and_push(Settings(), "alpha")
    assert puts(proxy) == len(SHARDS) + 1 - len(held), "the list of files and those that were not there yet"
    shutil.rmtree(place.root / ".dvc" / "cache")
    assert place.read(versions.materialize(Settings(), "alpha", md5)) == SHARDS


def test_an_object_that_is_corrupt_in_the_remote_is_named_and_nothing_counts_as_fetched(
    s3_server: S3Server, proxied: tuple[Place, FaultyProxy]
):
    place, _ = proxied
    place.write(SHARDS)
    md5 = versions.add_and_push(Settings(), "alpha")
    spoilt = SHARDS["shard-00003.parquet"]
    body = bytes([spoilt[0] ^ 1]) + spoilt[1:]
    s3_server.client().put_object(Bucket=place.bucket, Key=f"datasets/{key_of(spoilt)}", Body=body)
    shutil.rmtree(place.root / ".dvc" / "cache")
    with pytest.raises(VersioningError, match=r"shard-00003\.parquet.* is missing or corrupt in the remote"):
        versions.materialize(Settings(), "alpha", md5)
    assert not list(place.root.glob(".atelier/datasets/*/complete"))
    s3_server.client().put_object(Bucket=place.bucket, Key=f"datasets/{key_of(spoilt)}", Body=spoilt)
    assert place.read(versions.materialize(Settings(), "alpha", md5)) == SHARDS


def test_a_remote_that_throttles_for_a_while_gets_everything(proxied: tuple[Place, FaultyProxy]):
    place, proxy = proxied
    place.write(SHARDS)
    proxy.first(3, "throttle", "PUT")
    md5 = versions.add_and_push(Settings(), "alpha")
    assert puts(proxy) == len(SHARDS) + 1 + 3
    shutil.rmtree(place.root / ".dvc" / "cache")
    proxy.first(2, "throttle", "GET")
    assert place.read(versions.materialize(Settings(), "alpha", md5)) == SHARDS


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("throttle", "SlowDown"),
        ("hang", "[Tt]ime"),
        ("reset", "[Cc]onnection"),
        ("fail", r"S3 server at http://127\S+; the disk that it writes to may be full"),
    ],
)
def test_a_remote_that_goes_on_failing_ends_in_the_cause_after_a_bounded_number_of_requests(
    proxied: tuple[Place, FaultyProxy], fault: Fault, said: str
):
    place, proxy = proxied
    config = place.root / ".dvc" / "config"
    config.write_text(config.read_text().replace("read_timeout = 3", "read_timeout = 1"))  # a hang costs all of them
    place.write({"shard-00000.parquet": b"one" * 1000})
    proxy.always(fault, "PUT")
    with pytest.raises(VersioningError, match=said) as failed:
        versions.add_and_push(Settings(), "alpha")
    assert "\n" not in str(failed.value)
    assert puts(proxy) <= 20
    assert not place.dvc_file.exists()


@pytest.mark.parametrize("who", ["nobody", "a wrong secret", "an expired token"])
def test_credentials_that_are_missing_or_wrong_are_told_of_at_once_and_never_printed(
    s3_server: S3Server, proxied: tuple[Place, FaultyProxy], monkeypatch: pytest.MonkeyPatch, who: str
):
    place, proxy = proxied
    place.write(SHARDS)
    wrong = "not-the-secret-3d9f77"
    environments = {
        "nobody": (no_credentials(), "no credentials; set AWS_ACCESS_KEY_ID"),
        "a wrong secret": (s3_server.environment(secret=wrong), "the secret key is wrong"),
        "an expired token": ({**s3_server.environment("owner"), "AWS_ACCESS_KEY_ID": "ASIAOLD"}, "not known there"),
    }
    environment, remedy = environments[who]
    become(monkeypatch, environment)
    for attempt in (
        lambda: versions.add_and_push(Settings(), "alpha"),
        lambda: versions.materialize(Settings(), "alpha", "0" * 32 + ".dir"),
    ):
        with pytest.raises(VersioningError, match=remedy) as failed:
            attempt()
        assert not any(secret in str(failed.value) for secret in (wrong, *SECRETS.values()))
    assert puts(proxy) == 0
    assert not (place.root / ".dvc" / "cache" / "files").exists(), "not even hashing was begun"


def test_a_reader_cannot_make_a_version_and_can_have_one(
    s3_server: S3Server, proxied: tuple[Place, FaultyProxy], monkeypatch: pytest.MonkeyPatch
):
    place, _ = proxied
    place.write({"shard-00000.parquet": b"one" * 1000})
    md5 = versions.add_and_push(Settings(), "alpha")
    before = place.dvc_file.read_bytes()
    become(monkeypatch, s3_server.environment("reader"))
    place.write({"shard-00001.parquet": b"two" * 1000})
    with pytest.raises(VersioningError, match="Access Denied"):
        versions.add_and_push(Settings(), "alpha")
    assert place.dvc_file.read_bytes() == before
    shutil.rmtree(place.root / ".dvc" / "cache")
    assert list(place.read(versions.materialize(Settings(), "alpha", md5))) == ["shard-00000.parquet"]
