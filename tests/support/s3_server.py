"""A real S3-compatible server (SeaweedFS) on this machine: signatures are checked, and credentials can be wrong."""

import json
import random
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

WEED = Path(sys.executable).with_name("weed")
_EMPTY_FILE = Path(__file__).with_name("__init__.py")
SECONDS_TO_START = 90  # 3 on an idle machine; after a kill the volumes are checked first
SECRETS = {"owner": "owner-secret-5f2c", "reader": "reader-secret-91ab"}
_RIGHTS = {"owner": ["Admin", "Read", "Write", "List", "Tagging"], "reader": ["Read", "List"]}
_PORTS = (
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"),
    *("s3.port", "s3.port.grpc"),
)


class S3Server:
    """One server with two users: `owner` may do everything, `reader` may list and read.

    The data stay in `folder`, so that a server that was killed can be started again with what it had.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True)
        users = [
            {"name": name, "credentials": [{"accessKey": name, "secretKey": SECRETS[name]}], "actions": _RIGHTS[name]}
            for name in SECRETS
        ]
        (folder / "s3.json").write_text(json.dumps({"identities": users}))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3.port']}"

    def start(self) -> None:
        """Start it, and wait until it takes objects."""
        options = {
            **self._ports,
            "dir": self._folder / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3.config": self._folder / "s3.json",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "volume.max": 0,
            "master.volumeSizeLimitMB": 64,
            "master.telemetry": "false",
        }
        command = [str(WEED), "-logtostderr=true", "server", "-s3", *(f"-{key}={options[key]}" for key in options)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        self._wait()

    def kill(self) -> None:
        """As when its machine fails. The tests end it so as well: asked politely, it waits for idle connections."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def client(self, user: str = "owner", *, secret: str | None = None, endpoint: str | None = None) -> Any:
        """A boto3 client of a user that does not try again."""
        return boto3.client(
            "s3",
            endpoint_url=endpoint or self.endpoint,
            aws_access_key_id=user,
            aws_secret_access_key=SECRETS[user] if secret is None else secret,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=20),
        )

    def new_bucket(self) -> str:
        """The name of a bucket that nobody else uses."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return name

    def environment(self, user: str = "owner", *, secret: str | None = None) -> dict[str, str]:
        """What a process needs to be that user, and nothing of the person who runs the tests."""
        return {
            "AWS_ACCESS_KEY_ID": user,
            "AWS_SECRET_ACCESS_KEY": SECRETS[user] if secret is None else secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            **no_credentials(),
        }

    def _wait(self) -> None:
        """A server that answers may not yet have a volume to write to, so that a real object is written."""
        end = time.monotonic() + SECONDS_TO_START
        client = self.client()
        while True:
            assert self._process is not None
            with suppress(ClientError, BotoCoreError):
                with suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
                    client.create_bucket(Bucket="is-it-up")
                client.put_object(Bucket="is-it-up", Key="probe", Body=b"1")
                return
            if self._process.poll() is not None or time.monotonic() > end:
                log = (self._folder / "log").read_text(errors="replace")
                raise RuntimeError(f"the S3 server did not start: {log[-2000:]}")
            time.sleep(0.1)


def no_credentials() -> dict[str, str]:
    """Keeps the SDK from finding credentials where the person who runs the tests has some."""
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(_EMPTY_FILE),
        "AWS_CONFIG_FILE": str(_EMPTY_FILE),  # a device such as /dev/null is no config file to the SDK
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _free_ports(number: int) -> list[int]:
    """Below the range from which systems give ports to outgoing connections, which could take one during a restart."""
    ports: list[int] = []
    while len(ports) < number:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            if port not in ports:
                ports.append(port)
    return ports


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for the session."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.kill()
