"""The objects of a backup come back as they were, from a server that goes on running to one that is new."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.s3_server import S3Server

DEPLOY = Path(__file__).parents[2] / "deploy"


def objects(server: S3Server, what: str, given: bytes = b"") -> bytes:
    done = subprocess.run(
        [sys.executable, str(DEPLOY / "s3" / "objects.py"), what],
        env={**os.environ, **server.environment(), "AWS_ENDPOINT_URL": server.endpoint},
        input=given,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_objects_of_any_name_and_size_come_back_into_a_bucket_that_is_gone(s3_server: S3Server):
    client, bucket = s3_server.client(), s3_server.new_bucket()
    contents = {
        "empty": b"",
        "a/b c/ü.png": os.urandom(1000),
        f"{'long/' * 40}name": b"1",
        "large": os.urandom(9 << 20),
    }
    for key, content in contents.items():
        client.put_object(Bucket=bucket, Key=key, Body=content)
    saved = objects(s3_server, "save")
    for key in contents:
        client.delete_object(Bucket=bucket, Key=key)
    client.delete_bucket(Bucket=bucket)
    objects(s3_server, "load", saved)
    assert {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in contents} == contents
