import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from gan_models.config import ImageConfig
from gan_models.data.image_row import ImageRow
from gan_models.data.image_set import load, load_split, windows
from gan_models.data.shard_writer import write_shards
from gan_models.data.shards import (
    DataError,
    content_digest,
    natural_order,
    read_shard,
    shard_paths,
    split_of,
    statistics,
)
from gan_models.data.split_index import list_split
from gan_models.ingest.decoding import encode_png, image_id
from tests.support.checked import present
from tests.support.image_rows import files, record, records

GRAY = ImageConfig(size=8, channels=1)

# Splits.


def test_the_share_of_evaluation_is_about_what_was_asked():
    assert 0.22 < sum(split_of(str(i), 0.25) == "evaluation" for i in range(4000)) / 4000 < 0.28


def test_an_image_never_moves_from_evaluation_to_training_when_the_share_grows():
    for key in map(str, range(200)):
        splits = [split_of(key, share) for share in (0, 0.1, 0.25, 0.5, 0.9, 1)]
        assert splits == sorted(splits, reverse=True)  # "train" sorts behind "evaluation"
        assert (splits[0], splits[-1]) == ("train", "evaluation")


def test_splits_are_those_of_every_dataset_made_before():
    assert [i for i in range(20) if split_of(f"key-{i}", 0.25) == "evaluation"] == [3, 4, 15]


# Writing.


def test_equal_records_make_equal_files_in_any_order(tmp_path):
    write_shards(records(20), tmp_path / "a", shard_bytes=700)
    write_shards(reversed(records(20)), tmp_path / "b", shard_bytes=700)
    assert len(files(tmp_path / "a")) > 2
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_new_images_go_to_new_shards_and_old_shards_are_not_touched(tmp_path):
    write_shards(records(5), tmp_path / "data")
    before = files(tmp_path / "data")
    write_shards(records(8), tmp_path / "data")
    after = files(tmp_path / "data")
    assert len(after) > len(before)
    assert before.items() <= after.items()
    assert statistics(tmp_path / "data").num_images == 8


def test_a_shard_holds_images_of_one_split_so_that_training_reads_no_others(tmp_path):
    write_shards(records(6, split="train") + [record(number, split="evaluation") for number in (7, 8)], tmp_path)
    splits = [read_shard(path, ["split"])["split"].to_pylist() for path in shard_paths(tmp_path)]
    assert splits == [["evaluation"] * 2, ["train"] * 6]


def test_nothing_new_writes_nothing(tmp_path):
    write_shards(records(5), tmp_path / "data")
    before = files(tmp_path / "data")
    write_shards(records(5), tmp_path / "data")
    assert files(tmp_path / "data") == before


def test_an_id_that_comes_twice_is_written_once(tmp_path):
    write_shards(records(3) + records(3), tmp_path / "data")
    assert statistics(tmp_path / "data").num_images == 3


def test_records_that_fail_halfway_leave_the_dataset_as_it_was(tmp_path):
    write_shards(records(3), tmp_path / "data")
    before = files(tmp_path / "data")

    def failing():
        yield from records(10)
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        write_shards(failing(), tmp_path / "data", shard_bytes=100)
    assert files(tmp_path / "data") == before
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_a_killed_writer_left_is_cleared_away(tmp_path):
    (tmp_path / ".data.partial").mkdir()
    (tmp_path / ".data.partial" / "shard").write_bytes(b"half")
    write_shards(records(3), tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_shards_are_in_the_hugging_face_layout(tmp_path):
    write_shards(records(3), tmp_path)
    path = next(tmp_path.glob("*.parquet"))
    features = json.loads(pq.read_schema(path).metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["label"] == {"dtype": "string", "_type": "Value"}
    table = pd.read_parquet(path)
    assert list(table.columns) == list(features)
    assert table.image[0]["bytes"].startswith(b"\x89PNG")
    assert table.id.is_monotonic_increasing


# Digest and statistics.


def test_the_digest_does_not_depend_on_the_sharding(tmp_path):
    write_shards(records(10), tmp_path / "one")
    write_shards(records(10), tmp_path / "many", shard_bytes=300)
    write_shards(records(4), tmp_path / "grown")
    write_shards(records(10), tmp_path / "grown")
    assert len({content_digest(tmp_path / name) for name in ("one", "many", "grown")}) == 1


@pytest.mark.parametrize(
    "change", [{"split": "test"}, {"label": "b"}, {"domain": "x"}, {"source": "y"}, {"pair": "z"}, {"id": "0"}]
)
def test_the_digest_changes_with_every_fact(tmp_path, change):
    first, *rest = records(3)
    write_shards([first, *rest], tmp_path / "a")
    write_shards([replace(first, **change), *rest], tmp_path / "b")
    assert content_digest(tmp_path / "a") != content_digest(tmp_path / "b")


def test_statistics_count_splits_labels_and_sizes(tmp_path):
    write_shards(
        [record(0, (8, 9), "10", "train"), record(1, (12, 8), "2", "train"), record(2, label="2", split="evaluation")],
        tmp_path,
    )
    found = statistics(tmp_path)
    assert (found.num_images, found.num_shards) == (3, 2)
    assert found.splits == {"evaluation": 1, "train": 2}
    assert found.labels == {"evaluation": {"2": 1}, "train": {"2": 1, "10": 1}}
    assert list(found.labels["train"]) == ["2", "10"]
    assert (found.min_width, found.max_width, found.min_height, found.max_height) == (8, 12, 8, 9)


# Loading.


def test_a_split_is_loaded_in_the_order_of_its_ids(tmp_path):
    write_shards(records(20, split="train"), tmp_path, shard_bytes=400)
    write_shards(records(25, split="train"), tmp_path)
    listing = list_split(tmp_path, "train", GRAY)
    images = load(listing).images
    assert images.shape == (25, 1, 8, 8)
    assert images.dtype == torch.uint8
    assert listing.ids == sorted(listing.ids)
    for pixels, key in zip(images.numpy(), listing.ids, strict=True):
        assert image_id(Image.fromarray(pixels[0])) == key


def test_labels_are_numbered_alike_in_both_splits(tmp_path):
    train = [record(i, label=label, split="train") for i, label in enumerate(["10", "2"])]
    write_shards([*train, record(2, label="1", split="evaluation")], tmp_path)
    loaded, evaluation = load_split(tmp_path, "train", GRAY), load_split(tmp_path, "evaluation", GRAY)
    assert loaded.label_names == evaluation.label_names == ("1", "2", "10")
    expected = {train[0].id: 2, train[1].id: 1}
    assert present(loaded.labels).tolist() == [expected[key] for key in sorted(expected)]
    assert present(loaded.labels).dtype == torch.int64
    assert present(evaluation.labels).tolist() == [0]


def test_images_without_labels_have_none(tmp_path):
    write_shards(records(3, label=None, split="train"), tmp_path)
    loaded = load_split(tmp_path, "train", GRAY)
    assert (loaded.labels, loaded.label_names) == (None, ())


def test_labels_on_some_images_only_are_refused(tmp_path):
    write_shards([record(0, label=None, split="train"), record(1, split="train")], tmp_path)
    with pytest.raises(DataError, match=r"1 of 2 images .* have no label"):
        load_split(tmp_path, "train", GRAY)


def test_resize_scales_the_shorter_side_and_takes_the_center(tmp_path):
    # Three vertical bands; of 48x16 the center 16x16 is the middle band.
    image = Image.fromarray(np.kron([[10, 100, 200]], np.ones((16, 16))).astype(np.uint8))
    write_shards([ImageRow(encode_png(image), "x.png", "0", "train", None, None, 48, 16, "test")], tmp_path)
    loaded = load_split(tmp_path, "train", GRAY).images
    assert loaded.shape == (1, 1, 8, 8)
    assert loaded[0, 0, :, 2:-2].unique().tolist() == [100]


def test_resize_is_antialiased(tmp_path):
    checkers = np.indices((64, 64)).sum(0) % 2 * 255
    image = Image.fromarray(checkers.astype(np.uint8))
    write_shards([ImageRow(encode_png(image), "x.png", "0", "train", None, None, 64, 64, "test")], tmp_path)
    inner = load_split(tmp_path, "train", GRAY).images[0, 0, 1:-1, 1:-1].float()
    assert (inner - 127.5).abs().max() < 3


def test_channels_are_those_the_model_asks_for(tmp_path):
    write_shards([record(0, split="train"), record(1, split="train", mode="RGB")], tmp_path)
    assert load_split(tmp_path, "train", GRAY).images.shape == (2, 1, 8, 8)
    color = load_split(tmp_path, "train", ImageConfig(size=8, channels=3))
    gray = color.images[sorted([record(0).id, record(1, mode="RGB").id]).index(record(0).id)]
    assert (gray[0] == gray[1]).all()
    assert (gray[1] == gray[2]).all()


def test_crop_keeps_the_stored_size(tmp_path):
    write_shards(records(3, size=(24, 16), split="train"), tmp_path)
    assert load_split(tmp_path, "train", ImageConfig(size=8, channels=1, fit="crop")).images.shape == (3, 1, 16, 24)


def test_crop_refuses_different_or_small_sizes(tmp_path):
    write_shards([record(0, (16, 16), split="train"), record(1, (20, 16), split="train")], tmp_path / "mixed")
    with pytest.raises(DataError, match=r"2 different sizes, from 16x16 to 20x16.*`tile`"):
        load_split(tmp_path / "mixed", "train", ImageConfig(size=8, channels=1, fit="crop"))
    write_shards(records(2, size=(16, 16), split="train"), tmp_path / "small")
    with pytest.raises(DataError, match="16x16, smaller than the windows of 32"):
        load_split(tmp_path / "small", "train", ImageConfig(size=32, channels=1, fit="crop"))


def test_the_digest_of_a_split_is_of_its_images_labels_and_config(tmp_path):
    write_shards(records(4, split="train"), tmp_path / "a")
    write_shards([*records(4, split="train"), record(9, split="evaluation")], tmp_path / "more_evaluation")
    write_shards(records(5, split="train"), tmp_path / "more_training")
    write_shards(records(4, split="train", label="b"), tmp_path / "labels")
    digests = [load_split(tmp_path / name, "train", GRAY).digest for name in ("a", "more_evaluation")]
    assert digests[0] == digests[1]
    others = [load_split(tmp_path / name, "train", GRAY).digest for name in ("more_training", "labels")]
    others.append(load_split(tmp_path / "a", "train", ImageConfig(size=16, channels=1)).digest)
    assert len({digests[0], *others}) == 4


# Datasets that cannot be used.


@pytest.mark.parametrize("read", [content_digest, statistics, lambda path: load_split(path, "train", GRAY)])
def test_a_folder_without_shards_is_said_to_be_one(tmp_path, read):
    with pytest.raises(DataError, match=r"there are no shards in .*dvc pull"):
        read(tmp_path / "nothing")


def test_an_empty_split_is_named(tmp_path):
    write_shards(records(3, split="train"), tmp_path)
    with pytest.raises(DataError, match=r"split 'evaluation' .* is empty; its 3 images are in: train"):
        load_split(tmp_path, "evaluation", GRAY)


@pytest.mark.parametrize("damage", ["truncate", "empty", "other"])
def test_a_damaged_shard_is_named_with_the_remedy(tmp_path, damage):
    write_shards(records(50, split="train"), tmp_path)
    path = next(tmp_path.glob("*.parquet"))
    path.write_bytes({"truncate": path.read_bytes()[:-100], "empty": b"", "other": b"PAR1 not really"}[damage])
    with pytest.raises(DataError, match=rf"{path.name} is damaged .*dvc pull"):
        load_split(tmp_path, "train", GRAY)


def test_a_flipped_bit_in_a_shard_never_changes_what_is_loaded(tmp_path):
    write_shards(records(10, split="train"), tmp_path)
    path = next(tmp_path.glob("*.parquet"))
    good = path.read_bytes()
    expected = load_split(tmp_path, "train", GRAY)
    refused = 0
    for position in range(0, len(good), 37):
        damaged = bytearray(good)
        damaged[position] ^= 16
        path.write_bytes(damaged)
        try:
            loaded = load_split(tmp_path, "train", GRAY)
        except DataError:
            refused += 1
        else:  # it was in what nobody reads, such as the smallest value of a page
            assert torch.equal(loaded.images, expected.images)
            assert loaded.digest == expected.digest
    assert refused > 20


def test_a_stored_image_that_cannot_be_read_is_named(tmp_path):
    write_shards([replace(record(0, split="train"), data=b"no image")], tmp_path)
    with pytest.raises(DataError, match=rf"image {record(0).id} in .*shard-00000.* cannot be read: .*not an image"):
        load_split(tmp_path, "train", GRAY)


def test_a_parquet_file_of_another_kind_is_refused(tmp_path):
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "shard-00000-abc.parquet")
    with pytest.raises(DataError, match="no column 'id'"):
        content_digest(tmp_path)


# Windows and names.


def test_windows_are_the_grid_of_each_image_in_order():
    images = torch.arange(2 * 1 * 5 * 6).reshape(2, 1, 5, 6)
    cut = windows(images, 2)
    assert cut.shape == (12, 1, 2, 2)
    for number, window in enumerate(cut):
        image, row, column = number // 6, number % 6 // 3 * 2, number % 3 * 2
        assert torch.equal(window, images[image, :, row : row + 2, column : column + 2])


def test_windows_larger_than_the_images_are_refused():
    with pytest.raises(ValueError, match="no 8x8 window fits into images of 6x5"):
        windows(torch.zeros(1, 3, 5, 6), 8)


def test_names_sort_by_the_numbers_in_them():
    assert natural_order(["10", "2", "b10", "b9", "a", "2", "²", "٣"]) == ("2", "٣", "10", "a", "b9", "b10", "²")


def test_shard_names_carry_number_and_digest(tmp_path):
    write_shards(records(2, split="train"), tmp_path)
    write_shards(records(4, split="train"), tmp_path)
    names = sorted(Path(name).stem.split("-")[:2] for name in files(tmp_path))
    assert names == [["shard", "00000"], ["shard", "00001"]]
