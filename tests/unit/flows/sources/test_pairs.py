"""From two folders of pictures to a model that has learned to turn the ones into the others."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from skimage.data import astronaut, chelsea, coffee

from flows.config.dataset_section import SourceConfig
from flows.datasets.builder import build_dataset
from flows.sources.open import open_source
from flows.tracking.served_model import Request
from gan_models.config import EvaluateConfig, ExtractorConfig, TrainConfig
from gan_models.data.image_set import list_training_data
from gan_models.data.shard_writer import remove_images
from gan_models.data.shards import DataError, read_rows
from gan_models.evaluation.run import evaluate_to
from gan_models.training.__main__ import main
from tests.support.served_models import NO_CONTEXT, ask, picture, served_model

SIDE = 48
SOURCE = {"path": "inbox", "pairs": {"negative": "A", "print": "B"}}
TRAIN = {
    "image": {"size": 32, "channels": 3, "fit": "crop"},
    "recipe": {
        "name": "pix2pix",
        "source_domain": "negative",
        "target_domain": "print",
        "width": 8,
        "num_stages": 3,
        "dropout": 0.0,
        "discriminator_width": 8,
        "discriminator_stages": 1,
        "adversarial_weight": 0.1,
        "learning_rate": 0.003,
    },
    "steps": 120,
    "batch_size": 8,
    "flips": True,
    "ema_half_life_images": 100,
    "checkpoint_every": 60,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of three photographs in `inbox/B`, and the gray negative of each in `inbox/A`."""
    root = tmp_path_factory.mktemp("pairs")
    for number, (name, photo) in enumerate({"a": astronaut(), "b": chelsea(), "c": coffee()}.items()):
        height, width = photo.shape[:2]
        for top in range(0, height - SIDE, 2 * SIDE):
            for left in range(0, width - SIDE, 2 * SIDE):
                crop = photo[top : top + SIDE, left : left + SIDE]
                negative = (255 - crop.mean(axis=2)).round().astype(np.uint8)
                for folder, pixels in (("A", negative), ("B", crop)):
                    file = root / "inbox" / folder / f"{name}-{number}-{top}-{left}.png"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(pixels).save(file)
    source = open_source(SourceConfig.model_validate(SOURCE), root)
    report = build_dataset([source], root / "data", evaluation_share=0.3, quarantine=root / "quarantine")
    assert report.quarantined == ()
    return root


@pytest.fixture(scope="module")
def trained(pairs: Path) -> Path:
    """The folder of a run on these pairs."""
    (pairs / "config.yaml").write_text(yaml.safe_dump({"train": TRAIN}))
    command = ["--config", str(pairs / "config.yaml"), "--data", str(pairs / "data"), "--out", str(pairs / "run")]
    assert main(command) == 0
    return pairs / "run"


def test_a_model_learns_from_pairs_what_neither_the_input_nor_the_mean_tells(
    pairs: Path, trained: Path, tmp_path: Path
):
    config = EvaluateConfig(num_images=40, extractor=ExtractorConfig(size=32))
    result = evaluate_to(tmp_path, trained / "bundle", pairs / "data", config, cache=tmp_path / "cache", device="cpu")
    metrics = result.by_key()
    for gain in ("psnr_gain_identity", "psnr_gain_mean", "ssim_gain_identity", "ssim_gain_mean"):
        assert metrics[gain].low > 0, gain
    assert (tmp_path / "pictures" / "negative_to_print.png").exists()


def test_the_model_is_served_and_takes_a_picture_as_it_is(trained: Path):
    model = served_model(trained / "bundle")
    answer = ask(model, image=picture(0, 40, 24))
    assert answer.size == (40, 24)
    with pytest.raises(ValueError, match="translates in one direction"):
        model.predict(NO_CONTEXT, [Request(image=picture(), reverse=True)])


def test_a_pair_that_has_lost_a_side_stops_the_training_with_what_to_do(pairs: Path, tmp_path: Path):
    source = open_source(SourceConfig.model_validate(SOURCE), pairs)
    build_dataset([source], tmp_path / "data", evaluation_share=0.3, quarantine=tmp_path / "quarantine")
    rows = read_rows(tmp_path / "data", ["id", "domain", "split"])
    removed = next(row["id"] for row in rows if row["domain"] == "print" and row["split"] == "train")
    remove_images(tmp_path / "data", [removed])
    with pytest.raises(
        DataError, match=r"1 of \d+ images of 'negative' .* or take them out with `atelier dataset remove"
    ):
        list_training_data(tmp_path / "data", "train", TrainConfig.model_validate(TRAIN))
