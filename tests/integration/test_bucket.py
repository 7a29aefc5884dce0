"""A bucket as an inbox, on a real server: what is new is taken once, whatever is interrupted or lost."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from flows.config.dataset_section import SourceConfig
from flows.datasets.builder import build_dataset
from flows.sources.base import SourceError
from flows.sources.open import open_source
from flows.sources.s3 import StorageError
from gan_models.data.shards import read_rows
from gan_models.ingest.decoding import UnreadableImageError, decode
from tests.support.faulty_proxy import faulty_proxy


def png(seed):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


class Inbox:
    """A bucket with twelve images of two labels, seen through a proxy that notes what is asked for."""

    def __init__(self, server, proxy, root):
        self.bucket, self.proxy, self.root = server.new_bucket(), proxy, root
        self.client = server.client()
        for seed in range(12):
            self.put(f"{'ab'[seed % 2]}/{seed}.png", png(seed))

    def put(self, name, data):
        self.client.put_object(Bucket=self.bucket, Key=f"in/{name}", Body=data)

    def delete(self, name):
        self.client.delete_object(Bucket=self.bucket, Key=f"in/{name}")

    def open(self):
        return open_source(f"s3://{self.bucket}/in", self.root)

    def build(self):
        """The report of one night, and how many objects were downloaded."""
        self.proxy.requests.clear()
        report = build_dataset(
            [self.open()],
            self.root / "data",
            evaluation_share=0.4,
            max_quarantined_share=0.2,
            quarantine=self.root / "quarantine",
            file_cache=self.root / "file-cache.sqlite",
        )
        shutil.rmtree(self.root / ".atelier", ignore_errors=True)  # as the stage does when the version is made
        return report, sum(path.startswith(f"/{self.bucket}/in/") for _, path in self.proxy.requests)


@pytest.fixture
def inbox(s3_server, tmp_path, monkeypatch):
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    with faulty_proxy(s3_server.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield Inbox(s3_server, proxy, tmp_path)


def test_objects_are_images_and_their_folders_labels(inbox):
    for litter in ("a/.hidden.png", "a/Thumbs.db", "@eaDir/1.png"):
        inbox.put(litter, b"x")
    inbox.put("loose.png", png(99))
    source = inbox.open()
    items = list(source.items())
    assert source.num_items == len(items) == 13
    assert {item.label for item in items} == {"a", "b", None}
    assert items[0].path == "a/0.png"
    assert decode(items[0].read()).size == (16, 16)
    assert source.fingerprint() == inbox.open().fingerprint()


def test_prefixes_that_divide_a_dataset_are_no_labels_and_that_is_told(inbox):
    for seed in range(12):
        inbox.delete(f"{'ab'[seed % 2]}/{seed}.png")
    inbox.put("train/cat/1.png", png(1))
    inbox.put("test/dog/2.png", png(2))
    source = inbox.open()
    assert {item.label for item in source.items()} == {"cat", "dog"}
    assert "for its division and not for labels" in source.notes()[0]


def test_a_prefix_is_a_folder(inbox):
    inbox.client.put_object(Bucket=inbox.bucket, Key="in-other/1.png", Body=png(1))
    assert inbox.open().num_items == 12


def test_a_nightly_run_downloads_only_what_is_new_or_changed(inbox):
    first, downloads = inbox.build()
    assert (first.num_new, first.num_remembered, downloads) == (12, 0, 12)
    again, downloads = inbox.build()
    assert (again.num_new, again.num_known, again.num_remembered, downloads) == (0, 12, 12, 0)
    inbox.put("a/new.png", png(50))
    inbox.put("b/1.png", png(51))
    inbox.delete("a/2.png")
    grown, downloads = inbox.build()
    assert (grown.num_new, grown.num_remembered, downloads) == (2, 10, 2)
    assert sum(grown.splits.values()) == 14
    assert grown.content_digest != again.content_digest


@pytest.mark.parametrize("harm", [lambda file: file.unlink(), lambda file: file.write_bytes(b"no database" * 999)])
def test_a_file_cache_that_is_lost_or_damaged_is_found_out_again(inbox, harm):
    first, _ = inbox.build()
    harm(inbox.root / "file-cache.sqlite")
    again, downloads = inbox.build()
    assert (again.num_new, again.num_known, again.content_digest, downloads) == (0, 12, first.content_digest, 12)
    assert inbox.build()[1] == 0


def test_a_dataset_that_is_lost_is_built_again_whatever_the_file_cache_says(inbox):
    first, _ = inbox.build()
    shutil.rmtree(inbox.root / "data")
    again, downloads = inbox.build()
    assert (again.num_new, again.content_digest, downloads) == (12, first.content_digest, 12)


def test_a_bad_object_is_downloaded_once_and_listed_every_night(inbox):
    inbox.put("a/bad.png", b"no image")
    for expected in (13, 0):
        report, downloads = inbox.build()
        (bad,) = report.quarantined
        assert (bad.path, downloads) == ("a/bad.png", expected)
        assert (inbox.root / "quarantine" / bad.copy).read_bytes() == b"no image"
    (inbox.root / "quarantine" / bad.copy).unlink()
    assert inbox.build()[1] == 1, "its copy is never lost"


def test_what_arrived_before_an_interruption_is_not_downloaded_again(inbox):
    items = list(inbox.open().items())
    for item in items[:5]:
        item.read()
    assert inbox.build()[1] == 7
    assert len(read_rows(inbox.root / "data", ["id"])) == 12


def test_an_object_that_is_replaced_while_it_is_read_waits_for_the_next_night(inbox):
    (item, *_) = inbox.open().items()
    inbox.put("a/0.png", png(60))
    with pytest.raises(UnreadableImageError, match="replaced or deleted while it was read; it is taken next time"):
        item.read()


def test_a_bucket_or_prefix_that_holds_nothing_is_refused(inbox):
    with pytest.raises(SourceError, match="no such bucket; create it or correct its name"):
        open_source("s3://there-is-none-304/in", inbox.root).num_items  # noqa: B018
    with pytest.raises(SourceError, match=r"there is nothing below s3://.*/empty"):
        open_source(f"s3://{inbox.bucket}/empty", inbox.root).num_items  # noqa: B018
    with pytest.raises(SourceError, match="not an address in S3"):
        open_source("s3://", inbox.root)


def test_a_bucket_that_takes_longer_than_it_may_ends_the_build(inbox):
    (item, *_) = open_source(SourceConfig(path=f"s3://{inbox.bucket}/in", max_hours=1e-12), inbox.root).items()
    with pytest.raises(SourceError, match="hours that their source has; set its `max_hours` higher"):
        item.read()


def test_a_user_without_rights_and_a_wrong_secret_are_told(inbox, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(SourceError, match="the secret key is wrong"):
        inbox.open().fingerprint()


def test_a_server_that_goes_away_ends_the_build_and_writes_nothing(inbox, monkeypatch):
    source = inbox.open()
    assert source.num_items == 12
    monkeypatch.setattr("flows.sources.s3.ATTEMPTS", 1)
    monkeypatch.setenv("AWS_EXECUTION_ENV", "test")  # in another environment there is a new client, which tries once
    inbox.proxy.always("reset", "GET")
    with pytest.raises(StorageError, match="does not answer; check the address"):
        build_dataset(
            [source], inbox.root / "data", evaluation_share=0.4, quarantine=inbox.root / "quarantine", file_cache=None
        )
    assert not (inbox.root / "data").exists()
