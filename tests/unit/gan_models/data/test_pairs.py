"""Both sides of a dataset's pairs stand in the same order, and images without a partner are refused."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_models.config import TrainConfig
from gan_models.data.image_row import ImageRow
from gan_models.data.image_set import TrainingData, list_training_data, load
from gan_models.data.pixel_cache import load_mapped
from gan_models.data.shard_writer import write_shards
from gan_models.data.shards import DataError
from gan_models.ingest.decoding import encode_png
from tests.support.checked import present
from tests.support.training_runs import CUT, PAIRS, train_config

CONFIG = train_config(PAIRS)
NUM = 12


def side(index: int, domain: str, *, split: str = "train", pixels: int = 24) -> ImageRow:
    """A picture of noise and, as its partner, the negative of it, whose ids have nothing to do with each other."""
    noise = np.random.default_rng(index).integers(0, 256, (pixels, pixels, 3), np.uint8)
    content = encode_png(Image.fromarray(noise if domain == "photo" else 255 - noise))
    id_ = hashlib.sha256(f"{domain} {index}".encode()).hexdigest()
    source = f"{domain}/{index}.png"
    return ImageRow(content, "", id_, split, None, domain, pixels, pixels, source, pair=f"pair {index}")


@pytest.fixture
def data(tmp_path: Path) -> Callable[..., Path]:
    """Writes twelve pairs and some further records, and returns the dataset's folder."""

    def write(*further: ImageRow, name: str = "data") -> Path:
        pairs = [side(index, domain) for index in range(NUM) for domain in ("photo", "map")]
        write_shards([*pairs, *further], tmp_path / name, shard_bytes=9_000)
        return tmp_path / name

    return write


def loaded(directory: Path, config: TrainConfig = CONFIG, limit: int | None = None) -> TrainingData:
    listings = list_training_data(directory, "train", config, limit=limit)
    return TrainingData(*map(load, listings), is_paired=config.recipe.name == "pix2pix")


def test_the_partner_of_each_image_is_at_its_place(data) -> None:
    directory = data()
    pairs = loaded(directory)
    assert torch.equal(present(pairs.targets).images, 255 - pairs.images.images)
    images, targets = list_training_data(directory, "train", CONFIG)
    assert images.ids == sorted(images.ids)
    assert targets.ids != sorted(targets.ids)


def test_a_limit_takes_whole_pairs(data) -> None:
    directory = data()
    few = loaded(directory, limit=5)
    assert torch.equal(few.images.images, loaded(directory).images.images[:5])
    assert torch.equal(present(few.targets).images, 255 - few.images.images)


def test_a_mapped_side_keeps_the_order_of_its_partners(data, tmp_path: Path) -> None:
    directory = data()
    for _ in range(2):  # decoded, then found
        listings = list_training_data(directory, "train", CONFIG)
        images, targets = (load_mapped(listing, tmp_path / "cache") for listing in listings)
        assert torch.equal(targets.images, 255 - images.images)
    unpaired = train_config({**CUT, "target_domain": "map"})
    by_id = list_training_data(directory, "train", unpaired)[1]
    assert by_id.ids == sorted(listings[1].ids)
    assert not torch.equal(load_mapped(by_id, tmp_path / "cache").images, targets.images)


def test_the_digest_tells_pairs_from_two_domains_and_from_other_pairs(data) -> None:
    directory = data()
    pairs = loaded(directory)
    two_domains = loaded(directory, train_config({**CUT, "target_domain": "map"}))
    assert len({pairs.digest, two_domains.digest, replace(pairs, is_paired=False).digest}) == 3
    swapped = [
        replace(side(index, domain), pair=f"pair {index}") for index in range(2, NUM) for domain in ("photo", "map")
    ]
    swapped += [side(0, "photo"), side(1, "photo")]
    swapped += [replace(side(0, "map"), pair="pair 1"), replace(side(1, "map"), pair="pair 0")]
    write_shards(swapped, directory.with_name("swapped"))
    assert loaded(directory.with_name("swapped")).digest != pairs.digest


@pytest.mark.parametrize(
    ("further", "says"),
    [
        (
            [side(90, "photo")],
            r"1 of 13 images of 'photo' in .* have no partner of their own, such as .* photo/90\.png",
        ),
        ([side(90, "map")], r"1 of 13 images of 'map' in .* such as .* map/90\.png; bring the other side in as well"),
        ([replace(side(90, "map"), pair=None)], "1 of 13 images of 'map'"),
        ([side(90, "photo"), side(90, "map", split="evaluation")], "1 of 13 images of 'photo'"),
        ([replace(side(90, "map"), pair="pair 3")], "1 of 12 images of 'photo'"),
    ],
    ids=["no target", "no source", "of another source", "in the other split", "two partners"],
)
def test_an_image_without_a_partner_of_its_own_is_refused(data, further, says) -> None:
    with pytest.raises(DataError, match=says):
        loaded(data(*further))


def test_a_dataset_without_pairs_is_refused_with_how_to_make_them(tmp_path: Path) -> None:
    sides = [replace(side(index, domain), pair=None) for index in range(4) for domain in ("photo", "map")]
    write_shards(sides, tmp_path / "data")
    with pytest.raises(DataError, match=r"are no pairs; .* as in `sources: .*pairs: \{photo: A, map: B\}"):
        loaded(tmp_path / "data")
    write_shards([replace(record, domain=None) for record in sides], tmp_path / "plain")
    with pytest.raises(DataError, match=r"no images of the domain 'photo', .*pairs: \{photo: A, map: B\}"):
        loaded(tmp_path / "plain")


def test_sides_of_different_sizes_are_refused_where_windows_are_taken(tmp_path: Path) -> None:
    sides = [side(index, domain, pixels=size) for index in range(4) for domain, size in (("photo", 24), ("map", 32))]
    write_shards(sides, tmp_path / "data")
    with pytest.raises(DataError, match="are 24x24 and 32x32, and `fit: crop` takes the same windows of both"):
        loaded(tmp_path / "data")
    resized = train_config(PAIRS, image={"size": 16, "channels": 3, "fit": "resize"})
    assert present(loaded(tmp_path / "data", resized).targets).images.shape == (4, 3, 16, 16)
