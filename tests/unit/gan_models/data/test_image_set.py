"""Images decoded into memory or into a mapped file: the same pixels, once."""

import io
import resource
from pathlib import Path

import pytest
import torch
from PIL import Image

from gan_models.config import DcganConfig, ImageConfig, TrainConfig
from gan_models.data.image_row import ImageRow
from gan_models.data.image_set import list_training_data, load, load_split
from gan_models.data.pixel_cache import load_mapped
from gan_models.data.shard_writer import write_shards
from gan_models.data.shards import DataError, read_shard
from gan_models.data.split_index import Listing, list_split
from tests.support.checked import present

IMAGE = ImageConfig(size=16)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve images in shards of three."""
    for first in range(0, 12, 3):
        records = []
        for index in range(first, first + 3):
            content = io.BytesIO()
            random = torch.Generator().manual_seed(index)
            pixels = torch.randint(256, (20, 18, 3), generator=random, dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(content, "PNG")
            label = ("cat", "dog")[index % 2]
            records.append(ImageRow(content.getvalue(), "", f"{index:064x}", "train", label, None, 18, 20, "test"))
        write_shards(records, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def listing(data: Path) -> Listing:
    return list_split(data, "train", IMAGE)


def test_a_listing_knows_the_size_of_what_it_would_decode(listing: Listing) -> None:
    assert listing.num_bytes == load(listing).images.numel() == 12 * 3 * 16 * 16
    assert listing.label_names == ("cat", "dog")


def test_a_limit_takes_the_first_images_and_leaves_the_labels_of_all(data: Path) -> None:
    first = load(list_split(data, "train", IMAGE, limit=1))
    everything = load_split(data, "train", IMAGE)
    assert torch.equal(first.images, everything.images[:1])
    assert first.label_names == ("cat", "dog")
    assert first.digest != everything.digest


def test_a_mapped_set_equals_the_one_in_memory(listing: Listing, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    mapped = load_mapped(listing, tmp_path / "cache", lambda done, total: told.append((done, total)))
    in_memory = load(listing)
    assert torch.equal(mapped.images, in_memory.images)
    assert torch.equal(present(mapped.labels), present(in_memory.labels))
    assert (mapped.label_names, mapped.digest) == (in_memory.label_names, in_memory.digest)
    assert told == [(done, 12) for done in (3, 6, 9, 12)]


def test_one_shard_at_a_time_is_in_memory(listing: Listing, tmp_path: Path, monkeypatch) -> None:
    from gan_models.data import split_index as module

    held: list[int] = []

    def counted(path, columns):
        table = read_shard(path, columns)
        held.append(table.num_rows)
        return table

    monkeypatch.setattr(module, "read_shard", counted)
    load_mapped(listing, tmp_path / "cache")
    assert held == [3, 3, 3, 3]


@pytest.fixture
def forbid_decoding(monkeypatch: pytest.MonkeyPatch):
    def forbid() -> None:
        def fail(*arguments: object) -> None:
            raise AssertionError("decoded again")

        monkeypatch.setattr(Listing, "decode", fail)

    return forbid


def test_a_mapped_set_is_decoded_once(listing: Listing, tmp_path: Path, forbid_decoding) -> None:
    first = load_mapped(listing, tmp_path / "cache")
    forbid_decoding()
    assert torch.equal(load_mapped(listing, tmp_path / "cache").images, first.images)


def test_another_size_of_the_same_images_is_another_file(data: Path, listing: Listing, tmp_path: Path) -> None:
    load_mapped(listing, tmp_path / "cache")
    other = load_mapped(list_split(data, "train", ImageConfig(size=8)), tmp_path / "cache")
    assert other.images.shape == (12, 3, 8, 8)
    assert len(list((tmp_path / "cache").glob("*.pixels"))) == 2


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_bit,
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.unlink(),
        lambda path: path.with_suffix(".json").unlink(),
        lambda path: path.with_suffix(".json").write_text("{"),
    ],
    ids=["flipped bit", "truncated", "missing", "no manifest", "torn manifest"],
)
def test_a_damaged_file_is_decoded_anew(listing: Listing, tmp_path: Path, damage) -> None:
    load_mapped(listing, tmp_path / "cache")
    (path,) = (tmp_path / "cache").glob("*.pixels")
    damage(path)
    assert torch.equal(load_mapped(listing, tmp_path / "cache").images, load(listing).images)


def test_a_disk_that_is_full_is_an_error_and_leaves_nothing_that_looks_whole(listing: Listing, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # a real write that stops in the middle
    try:
        with pytest.raises(OSError, match="File too large"):
            load_mapped(listing, tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]
    assert torch.equal(load_mapped(listing, tmp_path / "cache").images, load(listing).images)


def test_decoding_that_is_interrupted_begins_anew(listing: Listing, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_mapped(listing, tmp_path / "cache", stop)
    assert torch.equal(load_mapped(listing, tmp_path / "cache").images, load(listing).images)


def test_an_image_that_is_damaged_is_named(data: Path, tmp_path: Path) -> None:
    record = ImageRow(b"no image", "", "f" * 64, "train", "cat", None, 18, 20, "test")
    write_shards([record], data)
    with pytest.raises(DataError, match=r"image f+ in .* cannot be read"):
        load_mapped(list_split(data, "train", IMAGE), tmp_path / "cache")


def test_a_label_that_no_training_image_has_is_refused_where_a_model_could_be_asked_for_it(data: Path) -> None:
    content = io.BytesIO()
    Image.new("RGB", (18, 20)).save(content, "PNG")
    bird = ImageRow(content.getvalue(), "", f"{99:064x}", "evaluation", "bird", None, 18, 20, "test")
    write_shards([bird], data)
    with pytest.raises(DataError, match="lack the label bird, which evaluation images have"):
        list_training_data(data, "train", TrainConfig(image=IMAGE, recipe=DcganConfig(), steps=1))
    without = TrainConfig(image=IMAGE, recipe=DcganConfig(conditional=False), steps=1)
    assert len(list_training_data(data, "train", without)[0]) == 12
