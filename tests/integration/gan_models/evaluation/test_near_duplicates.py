"""Near copies across training and evaluation: found where they were made, and nowhere where images only look alike."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits

from gan_models.bundles.bundle import load_bundle, save_bundle
from gan_models.config import DcganConfig, ExtractorConfig, ImageConfig, Pix2PixConfig
from gan_models.data.image_row import ImageRow
from gan_models.data.shard_writer import write_shards
from gan_models.evaluation.features.cache import FeatureCache
from gan_models.evaluation.features.extractor import load_extractor
from gan_models.evaluation.features.near_duplicates import correlation, near_duplicates
from gan_models.ingest.decoding import encode_png, image_id
from gan_models.recipes import build_generator

IMAGE = ImageConfig(size=32, channels=1)


def large(index: int) -> Image.Image:
    return Image.fromarray((load_digits().images[index] * 15.9).astype(np.uint8)).resize(
        (64, 64), Image.Resampling.BICUBIC
    )


def as_jpeg(image: Image.Image) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=60)
    return Image.open(content).convert("L")


def record(image: Image.Image, split: str) -> ImageRow:
    return ImageRow(encode_png(image), "x.png", image_id(image), split, None, None, *image.size, source="test")


@pytest.fixture(scope="module")
def notes_on(tmp_path_factory):
    """The notes on a dataset of these evaluation images, beside 60 digits to train on."""
    home = tmp_path_factory.mktemp("near")
    recipe = DcganConfig(width=4, conditional=False)
    facts = {"num_steps": 1, "config_digest": "0", "data_digest": "0", "label_names": ()}
    save_bundle(home / "bundle", build_generator(recipe, IMAGE, 0), recipe=recipe, image=IMAGE, **facts)
    bundle = load_bundle(home / "bundle")
    extractor = load_extractor(ExtractorConfig(size=32), "cpu")

    def notes(name: str, evaluation: list[Image.Image], cache: Path | None = None) -> tuple[str, ...]:
        training = [record(large(index), "train") for index in range(60)]
        write_shards(iter([*training, *(record(image, "evaluation") for image in evaluation)]), home / name)
        return near_duplicates(bundle, home / name, FeatureCache(cache, extractor), 64)

    return notes


def test_copies_that_were_encoded_again_scaled_or_brightened_are_counted(notes_on):
    copies = [as_jpeg(large(3)), large(7).resize((40, 40)), ImageEnhance.Brightness(large(11)).enhance(0.8)]
    (note,) = notes_on("copies", [*copies, *(large(index) for index in range(100, 112))])
    assert note.startswith("3 of 15 evaluation images are near copies of training images")


def test_images_that_only_look_alike_are_no_copies(notes_on):
    assert notes_on("alike", [large(index) for index in range(100, 160)]) == ()


@pytest.fixture(scope="module")
def notes_on_pairs(tmp_path_factory):
    """The notes on a dataset of these evaluation pairs, beside 60 pairs of digits 0 to 59 with digits 100 to 159."""
    home = tmp_path_factory.mktemp("near-pairs")
    recipe = Pix2PixConfig(width=4, num_stages=2, source_domain="photo", target_domain="map")
    facts = {"num_steps": 1, "config_digest": "0", "data_digest": "0", "label_names": ()}
    save_bundle(home / "bundle", build_generator(recipe, IMAGE, 0), recipe=recipe, image=IMAGE, **facts)
    bundle = load_bundle(home / "bundle")
    extractor = load_extractor(ExtractorConfig(size=32), "cpu")

    training = [((large(index), large(100 + index)), "train") for index in range(60)]

    def notes(name: str, evaluation: list[tuple[Image.Image, Image.Image]]) -> tuple[str, ...]:
        pairs = [*training, *((pair, "evaluation") for pair in evaluation)]
        records = [
            replace(record(image, split), domain=domain, pair=f"pair {number}", id=f"{number:03d}{domain}")
            for number, (pair, split) in enumerate(pairs)
            for image, domain in zip(pair, ("photo", "map"), strict=True)
        ]
        write_shards(iter(records), home / name)
        return near_duplicates(bundle, home / name, FeatureCache(None, extractor), 64)

    return notes


def test_a_pair_is_a_copy_where_both_its_sides_are_of_one_pair(notes_on_pairs):
    others = [(large(index), large(100 + index)) for index in range(200, 210)]
    copies = [(as_jpeg(large(3)), as_jpeg(large(103))), (as_jpeg(large(7)), large(107).resize((40, 40)))]
    (note,) = notes_on_pairs("copies", copies + others)
    assert note.startswith("2 of 12 evaluation pairs are near copies of training pairs")
    shared = [
        (as_jpeg(large(3)), large(290)),
        (large(291), as_jpeg(large(103))),
        (as_jpeg(large(3)), as_jpeg(large(104))),
    ]
    assert notes_on_pairs("one side alone", shared + others) == ()


def test_the_answer_is_kept_with_the_features(notes_on, tmp_path: Path):
    first = notes_on("kept", [as_jpeg(large(3)), large(120)], tmp_path)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("near-duplicates-*")}
    assert kept
    assert notes_on("kept", [as_jpeg(large(3)), large(120)], tmp_path) == first
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("near-duplicates-*")} == kept


def test_images_without_contrast_are_not_called_copies():
    flat = torch.full((2, 1, 32, 32), 200, dtype=torch.uint8)
    assert correlation(flat, flat).tolist() == [0.0, 0.0]
    picture = torch.arange(1024, dtype=torch.uint8).view(1, 1, 32, 32)
    assert correlation(picture, picture // 2) == pytest.approx(1.0, abs=1e-3)
