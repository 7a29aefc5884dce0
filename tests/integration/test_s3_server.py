"""The test equipment itself: a real server refuses wrong secrets, and the proxy does what it is told."""

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.support.faulty_proxy import faulty_proxy
from tests.support.s3_server import S3Server


def test_a_wrong_secret_is_refused_and_so_is_a_reader_who_writes(s3_server: S3Server):
    bucket = s3_server.new_bucket()
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3_server.client(secret="guessed").put_object(Bucket=bucket, Key="x", Body=b"1")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3_server.client("reader").put_object(Bucket=bucket, Key="x", Body=b"1")
    assert s3_server.client("reader").list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_an_object_is_written_once_where_that_is_asked(s3_server: S3Server):
    bucket = s3_server.new_bucket()
    s3_server.client().put_object(Bucket=bucket, Key="x", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3_server.client().put_object(Bucket=bucket, Key="x", Body=b"2", IfNoneMatch="*")


def test_the_proxy_passes_signed_requests_on_and_fails_those_it_is_told_to(s3_server: S3Server):
    bucket = s3_server.new_bucket()
    with faulty_proxy(s3_server.endpoint) as proxy:
        client = s3_server.client(endpoint=proxy.endpoint)
        proxy.first(1, "throttle", "PUT")
        with pytest.raises(ClientError, match="SlowDown"):
            client.put_object(Bucket=bucket, Key="x", Body=b"1" * 1000)
        client.put_object(Bucket=bucket, Key="x", Body=b"1" * 1000)
        assert proxy.uploaded >= 1000
        assert client.head_object(Bucket=bucket, Key="x")["ContentLength"] == 1000
        assert client.get_object(Bucket=bucket, Key="x")["Body"].read() == b"1" * 1000
        proxy.always("reset", "GET")
        with pytest.raises(ConnectionClosedError):
            client.get_object(Bucket=bucket, Key="x")
