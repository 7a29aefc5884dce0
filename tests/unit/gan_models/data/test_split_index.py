"""Which images a model works on, in what order; those that need no scaling are decoded by another library."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from gan_models.config import ImageConfig
from gan_models.data import split_index
from gan_models.data.image_set import load, load_split
from gan_models.data.shard_writer import write_shards
from gan_models.data.shards import DataError
from gan_models.data.split_index import list_split
from gan_models.data.stored_images import png_decoder
from tests.support.image_rows import record


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 12])
def test_pixels_are_the_same_by_either_way(tmp_path, monkeypatch: pytest.MonkeyPatch, mode, channels, size):
    write_shards([record(seed, mode=mode, split="train") for seed in range(5)], tmp_path / "data")
    config = ImageConfig(size=size, channels=channels)
    quick = load_split(tmp_path / "data", "train", config).images
    monkeypatch.setattr(split_index, "png_decoder", lambda shape: lambda data: None)
    assert np.array_equal(quick, load_split(tmp_path / "data", "train", config).images)


def test_a_damaged_image_is_named_by_either_way(tmp_path):
    good = record(1, split="train")
    write_shards([type(good)(**{**vars(good), "data": good.data[:-30]})], tmp_path / "data")
    with pytest.raises(DataError, match=good.id):
        load_split(tmp_path / "data", "train", ImageConfig(size=8, channels=1))


def test_a_picture_of_another_shape_is_left_to_the_other_way():
    data = record(1).data
    assert png_decoder((1, 8, 8))(data) is not None
    assert png_decoder((3, 8, 8))(data) is None


def test_the_digest_of_a_listing_is_that_of_the_json_of_its_config_labels_and_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(split_index, "ROWS_AT_ONCE", 4)  # so that it is computed in several parts
    rows = [record(seed, label=str(seed % 3), split="train") for seed in range(10)]
    for name, written in (("labeled", rows), ("unlabeled", [replace(row, label=None) for row in rows])):
        write_shards(written, tmp_path / name, shard_bytes=400)
        config = ImageConfig(size=8, channels=1)
        listing = list_split(tmp_path / name, "train", config)
        names = ["0", "1", "2"] if name == "labeled" else []
        facts = [config.model_dump(), names, sorted([row.id, row.label] for row in written)]
        assert listing.digest == hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def test_an_image_that_two_shards_hold_is_listed_once(tmp_path):
    rows = [record(seed, split="train") for seed in range(4)]
    write_shards(rows, tmp_path / "data")
    write_shards(rows[:2], tmp_path / "other")
    (copy,) = (tmp_path / "other").iterdir()  # a removal that was cut short leaves such a shard
    copy.rename(tmp_path / "data" / copy.name.replace("-00000-", "-00001-"))
    config = ImageConfig(size=8, channels=1)
    listing = list_split(tmp_path / "data", "train", config)
    assert listing.ids == sorted(row.id for row in rows)
    assert load(listing).images.shape == (4, 1, 8, 8)


def test_a_listing_holds_little_more_of_an_image_than_its_id(tmp_path):
    images = [replace(record(0), id=f"{n:064x}", source="inbox/" + "x" * 200, split="train") for n in range(2000)]
    write_shards(images, tmp_path / "data", shard_bytes=40_000)
    listing = list_split(tmp_path / "data", "train", ImageConfig(size=8, channels=1))
    assert len(listing.shards) > 2
    assert listing.rows.nbytes / len(listing) < 128
    assert listing.source_of(7) == images[7].source


def test_the_order_of_a_part_is_the_one_asked_for(tmp_path):
    write_shards([record(seed, split="train") for seed in range(9)], tmp_path / "data", shard_bytes=300)
    listing = list_split(tmp_path / "data", "train", ImageConfig(size=8, channels=1))
    part = listing.part([7, 2, 5])
    assert part.ids == [listing.ids[position] for position in (7, 2, 5)]
    assert np.array_equal(load(part).images, load(listing).images[[7, 2, 5]])
    assert part.digest != listing.part([2, 5, 7]).digest
