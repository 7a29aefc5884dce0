"""Images that need no scaling are decoded by another library; nobody can tell."""

import numpy as np
import pytest

from gan_models.config import ImageConfig
from gan_models.data import split_index
from gan_models.data.image_set import load_split
from gan_models.data.shard_writer import write_shards
from gan_models.data.shards import DataError
from tests.unit.gan_models.data.test_shards import record


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 12])
def test_pixels_are_the_same_by_either_way(tmp_path, monkeypatch: pytest.MonkeyPatch, mode, channels, size):
    write_shards([record(seed, mode=mode, split="train") for seed in range(5)], tmp_path / "data")
    config = ImageConfig(size=size, channels=channels)
    quick = load_split(tmp_path / "data", "train", config).images
    monkeypatch.setattr(split_index, "_decoder_of_stored", lambda shape: lambda data: None)
    assert np.array_equal(quick, load_split(tmp_path / "data", "train", config).images)


def test_a_damaged_image_is_named_by_either_way(tmp_path):
    good = record(1, split="train")
    write_shards([type(good)(**{**vars(good), "data": good.data[:-30]})], tmp_path / "data")
    with pytest.raises(DataError, match=good.id):
        load_split(tmp_path / "data", "train", ImageConfig(size=8, channels=1))


def test_a_picture_of_another_shape_is_left_to_the_other_way():
    data = record(1).data
    assert split_index._decoder_of_stored((1, 8, 8))(data) is not None
    assert split_index._decoder_of_stored((3, 8, 8))(data) is None
