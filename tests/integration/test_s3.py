"""S3 through its one adapter, against a real server: what works, what goes wrong, and what a person reads then."""

import os

import boto3
import pytest

from flows.sources.s3 import ObjectGoneError, S3Object, StorageError, fetch, list_objects, probe, read, split_url
from tests.support.faulty_proxy import faulty_proxy
from tests.support.s3_server import SECRETS, S3Server


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of its own, for a process that is its owner."""
    become(monkeypatch, s3_server)
    return s3_server.new_bucket()


def become(monkeypatch, server, user="owner", **options):
    for name, value in server.environment(user, **options).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)


def put(server, bucket, **objects):
    for key, content in objects.items():
        server.client().put_object(Bucket=bucket, Key=key.replace("__", "/"), Body=content)


def refused(match, call):
    """The call ends in one sentence that tells no secret."""
    with pytest.raises(StorageError, match=match) as caught:
        call()
    told = str(caught.value)
    assert "\n" not in told
    assert not any(secret in told for secret in SECRETS.values())


def test_a_listing_follows_every_page(s3_server, bucket, monkeypatch):
    keys = [f"in/{number:02d}.png" for number in range(12)]
    for key in [*keys, "elsewhere.png"]:
        s3_server.client().put_object(Bucket=bucket, Key=key, Body=key.encode())

    class SmallPages(boto3.session.Session):
        def client(self, *arguments, **options):
            client = super().client(*arguments, **options)
            client.meta.events.register("provide-client-params.s3.ListObjectsV2", of_five)
            return client

    def of_five(params, **_):
        return {**params, "MaxKeys": 5}  # as a service answers when there are more than a thousand

    monkeypatch.setattr(boto3.session, "Session", SmallPages)
    with faulty_proxy(s3_server.endpoint) as proxy:
        found = list(list_objects(f"s3://{bucket}/in/", endpoint=proxy.endpoint))
    assert [one.key for one in found] == keys
    assert {one.size for one in found} == {len(keys[0])}
    assert len(proxy.requests) == 3


def test_an_object_is_fetched_once_and_whole(s3_server, bucket, tmp_path):
    put(s3_server, bucket, a__one=b"x" * 3_000_000)
    (found,) = list_objects(f"s3://{bucket}/a")
    fetch(f"s3://{bucket}/a", found, tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == b"x" * 3_000_000
    with faulty_proxy(s3_server.endpoint) as proxy:
        fetch(f"s3://{bucket}/a", found, tmp_path / "one", endpoint=proxy.endpoint)
        assert proxy.requests == []


def test_a_download_goes_on_where_it_was_cut_off(s3_server, bucket, tmp_path):
    content = os.urandom(2_000_000)
    put(s3_server, bucket, one=content)
    (found,) = list_objects(f"s3://{bucket}")
    (tmp_path / "one.partial").write_bytes(content[:1_500_000])
    with faulty_proxy(s3_server.endpoint) as proxy:
        fetch(f"s3://{bucket}", found, tmp_path / "one", endpoint=proxy.endpoint)
    assert (tmp_path / "one").read_bytes() == content
    assert proxy.ranges == ["bytes=1500000-"]


def test_an_object_that_was_replaced_after_it_was_listed_is_not_taken(s3_server, bucket, tmp_path):
    put(s3_server, bucket, one=b"before")
    (found,) = list_objects(f"s3://{bucket}")
    put(s3_server, bucket, one=b"behind")
    with pytest.raises(ObjectGoneError, match="no longer there as it was listed; run again"):
        fetch(f"s3://{bucket}", found, tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_each_kind_of_trouble_is_one_sentence_with_a_remedy(s3_server, bucket, monkeypatch, dead_address):
    refused("no such bucket; create it", lambda: list(list_objects("s3://there-is-none")))
    refused("not an address in S3", lambda: split_url("s3:///no-bucket"))
    refused("without credentials", lambda: split_url(f"s3://owner:{SECRETS['owner']}@bucket/x"))
    refused(f"{dead_address} does not answer", lambda: list(list_objects(f"s3://{bucket}", endpoint=dead_address)))
    put(s3_server, bucket, one=b"123456")
    refused("6 bytes, more than the limit of 5", lambda: read(f"s3://{bucket}/one", limit=5))
    become(monkeypatch, s3_server, secret="wrong")
    refused("the secret key is wrong", lambda: list(list_objects(f"s3://{bucket}")))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    refused("access key is not known", lambda: list(list_objects(f"s3://{bucket}")))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    refused("there are no credentials; set AWS_ACCESS_KEY_ID", lambda: list(list_objects(f"s3://{bucket}")))


def test_a_probe_says_what_works_and_leaves_nothing(s3_server, bucket, monkeypatch):
    assert "written once only" in probe(f"s3://{bucket}/datasets")
    assert list(list_objects(f"s3://{bucket}")) == []
    become(monkeypatch, s3_server, "reader")
    refused("cannot be written .* no right to do that", lambda: probe(f"s3://{bucket}/datasets"))


def test_throttling_is_waited_out(s3_server, bucket, tmp_path):
    put(s3_server, bucket, one=b"1")
    (found,) = list_objects(f"s3://{bucket}")
    with faulty_proxy(s3_server.endpoint) as proxy:
        proxy.first(2, "throttle", "GET")
        fetch(f"s3://{bucket}", found, tmp_path / "one", endpoint=proxy.endpoint)
        assert len(proxy.requests) == 3
    assert (tmp_path / "one").read_bytes() == b"1"


def test_an_error_within_the_server_says_which_disk_may_be_full(s3_server, bucket, monkeypatch):
    monkeypatch.setattr("flows.sources.s3.ATTEMPTS", 1)
    monkeypatch.setenv("AWS_EXECUTION_ENV", "test")  # in another environment there is a new client, which tries once
    with faulty_proxy(s3_server.endpoint) as proxy:
        proxy.always("fail", "PUT")
        told = f"cannot be written below .*: the S3 server at {proxy.endpoint} failed inside.* disk .* may be full"
        refused(told, lambda: probe(f"s3://{bucket}/datasets", endpoint=proxy.endpoint))


def test_a_server_that_drips_breaks_the_deadline_of_each_request(s3_server, bucket, tmp_path, monkeypatch):
    put(s3_server, bucket, one=b"1" * 10_000)
    (found,) = list_objects(f"s3://{bucket}")
    monkeypatch.setattr("flows.sources.s3.REQUEST_SECONDS", 1.0)
    with faulty_proxy(s3_server.endpoint) as proxy:
        proxy.always("drip", "GET")
        too_long = "takes more than 1.* seconds; run again when the server or the network is faster"
        refused(too_long, lambda: fetch(f"s3://{bucket}", found, tmp_path / "one", endpoint=proxy.endpoint))
        refused(too_long, lambda: read(f"s3://{bucket}/one", limit=10_000, endpoint=proxy.endpoint))
        refused(too_long, lambda: list(list_objects(f"s3://{bucket}", endpoint=proxy.endpoint)))
    fetch(f"s3://{bucket}", found, tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == b"1" * 10_000


def test_a_full_disk_is_said(s3_server, bucket, tmp_path):
    put(s3_server, bucket, one=b"1" * 1000)
    (found,) = list_objects(f"s3://{bucket}")
    (tmp_path / "one.partial").symlink_to("/dev/full")  # a real device that has no space
    refused("the disk is full; free some space and run again", lambda: fetch("s3://" + bucket, found, tmp_path / "one"))
    assert not (tmp_path / "one").exists()


def test_an_object_is_described_by_what_changes_with_it(s3_server, bucket):
    put(s3_server, bucket, one=b"1")
    (first,) = list_objects(f"s3://{bucket}")
    put(s3_server, bucket, one=b"2")
    (second,) = list_objects(f"s3://{bucket}")
    assert first == S3Object("one", first.etag, 1)
    assert first.etag != second.etag
