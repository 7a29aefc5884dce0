"""From two folders, of photographs and of masks, to the classes that a model learns, pixel by pixel."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from flows.config.dataset_section import SourceConfig
from flows.config.model_config import ModelConfig
from gan_models.config import MaskClasses, TrainConfig
from gan_models.data.image_set import ImageSet, TrainingData, list_training_data, load
from gan_models.data.pixel_cache import load_mapped
from gan_models.data.shards import DataError, read_rows
from gan_models.images.class_masks import IGNORED, numbers_of
from gan_models.images.pixels import to_uint8
from gan_models.recipes.base import Batch
from gan_models.training.batches import Batches
from tests.support.mask_scenes import CLASSES, IGNORE, RECIPE, SOURCE, Scene, as_palette, build, scene, write_scenes

SIDE = 32
TOLD = MaskClasses(tuple(CLASSES), tuple(CLASSES.values()), IGNORE)
VALUES = {*CLASSES, IGNORE}


def config(fit: str = "crop", size: int = 32, **changes: object) -> TrainConfig:
    image = {"size": size, "channels": 3, "fit": fit}
    section = {"image": image, "recipe": RECIPE, "steps": 4, "batch_size": 8, "device": "cpu"}
    return TrainConfig.model_validate({**section, **changes})


@pytest.fixture
def scenes(tmp_path: Path) -> dict[bytes, Scene]:
    """Twenty scenes in `tmp_path / "inbox"`, by the bytes of their photographs."""
    return {made.photo.tobytes(): made for _, made in write_scenes(tmp_path, range(20), SIDE)}


def loaded(root: Path, chosen: TrainConfig, split: str = "train") -> TrainingData:
    return TrainingData(*map(load, list_training_data(root / "data", split, chosen)), is_paired=True)


def photo_of(images: torch.Tensor) -> bytes:
    """The bytes of an image, uint8 [3, H, W], as a scene has them."""
    return images.permute(1, 2, 0).numpy().tobytes()


def test_every_mask_reaches_training_as_it_was_drawn(tmp_path: Path, scenes: dict[bytes, Scene]) -> None:
    assert build(tmp_path).quarantined == ()
    chosen, met = config(), 0
    for split in ("train", "evaluation"):
        data = loaded(tmp_path, chosen, split)
        assert data.targets is not None
        for photo, mask in zip(data.images.images, data.targets.images, strict=True):
            drawn = scenes[photo_of(photo)].mask
            assert np.array_equal(mask[0].numpy(), drawn)
            numbers = numbers_of(mask[None], TOLD)[0].numpy()
            assert all((numbers[drawn == value] == number).all() for number, value in enumerate(CLASSES))
            assert (numbers[drawn == IGNORE] == IGNORED).all()
            met += 1
    assert met == len(scenes)


def test_flips_and_windows_move_photographs_and_masks_alike(tmp_path: Path, scenes: dict[bytes, Scene]) -> None:
    build(tmp_path)
    chosen = config(size=16, flips=True)
    batches = Batches(loaded(tmp_path, chosen), chosen, torch.device("cpu"))
    seen = [window for step in (1, 2, 3) for window in of_batch(batches.at(step))]
    flipped = [is_of_one_scene(photo, mask, list(scenes.values())) for photo, mask in seen]
    assert {True, False} == set(flipped)


def of_batch(batch: Batch) -> list[tuple[np.ndarray, np.ndarray]]:
    assert batch.targets is not None
    photos, masks = to_uint8(batch.images).permute(0, 2, 3, 1).numpy(), to_uint8(batch.targets)[:, 0].numpy()
    return list(zip(photos, masks, strict=True))


def is_of_one_scene(photo: np.ndarray, mask: np.ndarray, scenes: list[Scene]) -> bool:
    """Whether a window was mirrored, found where its photograph is; its mask is from the same place."""
    size = len(photo)
    for is_flipped in (False, True):
        sought = photo[:, ::-1] if is_flipped else photo
        for made in scenes:
            windows = np.lib.stride_tricks.sliding_window_view(made.photo, (size, size, 3))[:, :, 0]
            places = np.argwhere((windows == sought).all(axis=(2, 3, 4)))
            if len(places):
                top, left = places[0]
                drawn = made.mask[top : top + size, left : left + size]
                assert np.array_equal(mask, drawn[:, ::-1] if is_flipped else drawn)
                return is_flipped
    raise AssertionError("the window is of no photograph")


def test_masks_are_scaled_by_the_nearest_pixel_to_where_photographs_are(tmp_path: Path) -> None:
    """Of 48 pixels a side to 32: the values are those of the mask, and its shapes are where those of the photograph."""
    for _ in write_scenes(tmp_path, range(20), 48):
        pass
    build(tmp_path)
    data = loaded(tmp_path, config("resize"))
    assert data.targets is not None
    assert data.targets.images.shape[1:] == (1, 32, 32)
    assert set(data.targets.images.unique().tolist()) <= VALUES
    ground, shape = (data.targets.images == 0).expand(-1, 3, -1, -1), data.targets.images == 7
    assert data.images.images[:, :1][shape].float().median() > 150 > 90 > data.images.images[ground].float().median()


def test_a_mapped_set_of_masks_is_that_in_memory_and_no_set_of_pictures(tmp_path: Path, scenes: object) -> None:
    build(tmp_path)
    listing = list_training_data(tmp_path / "data", "train", config("resize", 16))[1]
    in_memory = load(listing)
    for _ in range(2):  # decoded, then found
        mapped: ImageSet = load_mapped(listing, tmp_path / "cache")
        assert torch.equal(mapped.images, in_memory.images)
    as_pictures = {key: value for key, value in RECIPE.items() if key not in ("classes", "ignore")}
    pictures = list_training_data(tmp_path / "data", "train", config("resize", 16, recipe=as_pictures))[1]
    assert pictures.digest != listing.digest


def test_photographs_with_the_same_mask_are_all_kept(tmp_path: Path) -> None:
    empty = Image.fromarray(np.zeros((SIDE, SIDE), np.uint8))
    for name, _ in write_scenes(tmp_path, range(12), SIDE):
        empty.save(tmp_path / "inbox" / "B" / f"{name}.png")
    report = build(tmp_path)
    assert (report.num_new, report.num_duplicates, report.quarantined) == (24, 0, ())
    assert not report.near_duplicates
    rows = read_rows(tmp_path / "data", ["id", "pair", "domain"])
    assert len({row["id"] for row in rows}) == 24
    assert (
        len(loaded(tmp_path, config()).images.images) + len(loaded(tmp_path, config(), "evaluation").images.images)
        == 12
    )


def test_masks_that_were_taken_before_are_neither_read_nor_added_again(tmp_path: Path, scenes: object) -> None:
    build(tmp_path)
    again = build(tmp_path)
    assert (again.num_new, again.num_known, again.num_remembered) == (0, 40, 40)
    for name, made in ((f"{seed:03d}", scene(seed, SIDE)) for seed in range(0, 20, 2)):
        as_palette(made.mask).save(tmp_path / "inbox" / "B" / f"{name}.png")  # the same classes in other files
    moved = build(tmp_path)
    assert (moved.num_new, moved.num_known, moved.num_remembered) == (0, 40, 30)


def test_a_mask_that_was_drawn_again_is_set_aside_with_what_to_do(tmp_path: Path, scenes: object) -> None:
    build(tmp_path)
    Image.fromarray(scene(99, SIDE).mask).save(tmp_path / "inbox" / "B" / "003.png")
    report = build(tmp_path, max_quarantined_share=0.5)
    assert report.num_new == 0
    assert {file.path for file in report.quarantined} == {"A/003.png", "B/003.png"}
    assert (
        "is in the dataset already, with another mask; give the dataset another `name`" in report.quarantined[0].reason
    )


def test_a_mask_in_color_is_set_aside_with_its_photograph(tmp_path: Path, scenes: object) -> None:
    Image.fromarray(scene(98).photo).save(tmp_path / "inbox" / "B" / "004.png")
    reasons = {file.path: file.reason for file in build(tmp_path, max_quarantined_share=0.5).quarantined}
    assert "the mask is in color" in reasons["B/004.png"]
    assert "the other side of its pair cannot be used" in reasons["A/004.png"]


def test_tiles_of_masks_are_those_of_their_photographs(tmp_path: Path, scenes: dict[bytes, Scene]) -> None:
    build(tmp_path, tile=16)
    data = loaded(tmp_path, config(size=16))
    assert data.targets is not None
    for photo, mask in zip(of_tiles(data.images), of_tiles(data.targets)[..., 0], strict=True):
        assert is_of_one_scene(photo, mask, list(scenes.values())) is False


def of_tiles(side: ImageSet) -> np.ndarray:
    return side.images.permute(0, 2, 3, 1).numpy()


def test_masks_that_were_taken_for_pictures_are_refused_with_what_to_write(tmp_path: Path, scenes: object) -> None:
    shutil.rmtree(tmp_path / "data", ignore_errors=True)
    build(tmp_path, source={key: value for key, value in SOURCE.items() if key != "masks"})
    with pytest.raises(DataError, match=r"is in color, and masks have a number in each pixel; say .* masks: mask"):
        loaded(tmp_path, config())


MODEL: dict[str, Any] = {
    "name": "segmenter",
    "dataset": {"name": "scenes", "sources": [SOURCE]},
    "train": config().model_dump(),
    "promote": {"rules": [{"metric": "mean_iou", "at_least": 0.0}]},
}


def model_of(source: dict[str, object], recipe: dict[str, object] = RECIPE, metric: str = "mean_iou") -> ModelConfig:
    content = {
        **MODEL,
        "dataset": {"name": "scenes", "sources": [source]},
        "train": {**MODEL["train"], "recipe": recipe},
        "promote": {"rules": [{"metric": metric, "at_least": 0.0}]},
    }
    return ModelConfig.model_validate(content)


def test_a_config_of_masks_is_read_back_from_what_is_written_of_it() -> None:
    model = model_of(SOURCE)
    assert ModelConfig.model_validate(model.model_dump(mode="json")) == model
    assert SourceConfig.model_validate(SOURCE).model_dump()["masks"] == "mask"
    assert "masks" not in SourceConfig(path="x", pairs={"a": "A", "b": "B"}).model_dump()


def test_source_and_recipe_have_to_agree_on_what_masks_are() -> None:
    pictures = {key: value for key, value in SOURCE.items() if key != "masks"}
    with pytest.raises(ValidationError, match="takes them for pictures; give it 'masks: mask'"):
        model_of(pictures)
    with pytest.raises(ValidationError, match="give it the 'classes' of their values"):
        model_of(
            SOURCE, {"name": "pix2pix", "source_domain": "photo", "target_domain": "mask", "num_stages": 3}, "psnr"
        )
    with pytest.raises(ValidationError, match="has 'masks: msk', and its domains are: photo and mask"):
        SourceConfig.model_validate({**SOURCE, "masks": "msk"})
    with pytest.raises(ValidationError, match="its domains are: none, because it has no 'pairs'"):
        SourceConfig.model_validate({"path": "inbox", "masks": "mask"})
