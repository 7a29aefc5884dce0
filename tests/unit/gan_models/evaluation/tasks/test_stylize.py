"""Models that stylize are compared, style by style, with the paintings. The networks are untrained or made by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut, chelsea, coffee
from torch import nn

from gan_models.bundles.bundle import save_bundle
from gan_models.config import (
    ConfigError,
    EvaluateConfig,
    ExtractorConfig,
    ImageConfig,
    read_evaluate_config,
    recipe_config,
)
from gan_models.data.image_row import ImageRow
from gan_models.data.shard_writer import write_shards
from gan_models.evaluation.comparison import load_evaluation
from gan_models.evaluation.errors import EvaluationError, InsufficientDataError
from gan_models.evaluation.metrics.content_distance import content_distance
from gan_models.evaluation.metrics.style_distance import Styles, style_statistics
from gan_models.evaluation.run import evaluate_to
from gan_models.ingest.decoding import encode_png, image_id
from gan_models.networks.feature_network import load_feature_network
from gan_models.recipes import build_generator
from tests.support.training_runs import STYLE_BANK

NAMES = ("cafe", "iris")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of tiles: a photograph, and two others in the part of paintings. And a picture of no dataset."""
    home = tmp_path_factory.mktemp("stylizer")
    records = []
    for photo, domain, label in (
        (astronaut(), "photo", None),
        (coffee(), "painting", "cafe"),
        (chelsea(), "painting", "iris"),
    ):
        for number in range(16):
            row, column = divmod(number, 4)
            tile = Image.fromarray(photo[64 * row : 64 * row + 32, 64 * column : 64 * column + 32])
            split, content = "train" if number % 4 else "evaluation", encode_png(tile)
            records.append(ImageRow(content, "x.png", image_id(tile), split, label, domain, 32, 32, "test"))
    write_shards(records, home / "data")
    Image.fromarray(coffee()[300:364, :96]).save(home / "unseen.png")
    return home


def evaluated(home: Path, out: Path, names: tuple[str, ...] = NAMES, unseen: Path | None = None, spread: float = 0.05):
    torch.manual_seed(0)
    recipe, image = recipe_config(STYLE_BANK), ImageConfig(size=16, fit="crop")
    network = build_generator(recipe, image, len(names))
    nn.init.normal_(network.get_parameter("last.weight"), std=spread)
    nn.init.normal_(network.get_parameter("styles"), std=0.1)
    about = {"label_names": names, "num_steps": 1, "config_digest": "", "data_digest": ""}
    save_bundle(out / "bundle", network, recipe=recipe, image=image, **about)
    config = EvaluateConfig(num_images=16, extractor=ExtractorConfig(size=32), unseen_style=unseen)
    evaluate_to(out, out / "bundle", home / "data", config, cache=None, device="cpu")
    return load_evaluation(out)[0]


def test_every_style_gets_its_distance_and_alpha_is_judged(home: Path, tmp_path: Path) -> None:
    result = evaluated(home, tmp_path, unseen=home / "unseen.png")
    metrics = result.by_key()
    for name in NAMES:
        assert metrics[f"style_{name}/style_distance"].value > 0
        assert metrics[f"style_{name}/style_distance"].baseline_name == "the untouched photographs"
        assert f"{name} " in metrics[f"style_{name}/style_distance"].note
    assert metrics["alpha0_psnr"].value == 100.0
    matched = [metrics[f"style_{name}/style_matched"].value for name in NAMES]
    assert metrics["style_matched"].value == pytest.approx(np.mean(matched))
    assert metrics["style_matched"].baseline == 0.5
    assert {"unseen/style_distance", "unseen/content_ssim", "styles_matched", "alpha_monotonic"} <= metrics.keys()
    assert "art_distance" not in metrics  # there are fewer than 64 photographs
    assert [Path(picture.file).stem for picture in result.pictures] == ["styles", "matrix", "alpha", "unseen"]
    lines = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert [line["done"] for line in lines] == list(range(lines[-1]["total"] + 1))


def test_a_model_that_does_nothing_is_as_near_as_the_photographs_and_does_not_move(home: Path, tmp_path: Path) -> None:
    metrics = evaluated(home, tmp_path, spread=0.0).by_key()
    for name in NAMES:
        distance = metrics[f"style_{name}/style_distance"]
        assert distance.value == pytest.approx(distance.baseline)
    assert metrics["style_matched"].value == 0.5
    assert metrics["alpha_monotonic"].value == metrics["styles_monotonic"].value == 0
    assert metrics["content_ssim"].value == pytest.approx(1)
    assert metrics["content_distance"].value == pytest.approx(0, abs=1e-6)
    assert not any(key.startswith("unseen") for key in metrics)


def test_other_styles_than_those_of_the_data_are_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="paints the styles cafe, rose, and the data has cafe, iris"):
        evaluated(home, tmp_path, names=("cafe", "rose"))


def test_an_unseen_style_that_cannot_be_used_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(EvaluationError, match=r"unseen_style .*text.png cannot be read"):
        evaluated(home, tmp_path, unseen=tmp_path / "text.png")


def test_an_unseen_style_is_looked_for_beside_the_config_and_above_it(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "configs" / "small"
    folder.mkdir(parents=True)
    (folder / "x.yaml").write_text("evaluate: {unseen_style: paintings/a.png}\n")
    with pytest.raises(ConfigError, match="no such file"):
        read_evaluate_config(folder / "x.yaml")
    (tmp_path / "paintings").mkdir()
    (tmp_path / "paintings" / "a.png").write_bytes(b"")
    assert read_evaluate_config(folder / "x.yaml").unseen_style == tmp_path / "paintings" / "a.png"


def test_paintings_are_nearest_to_their_own_style() -> None:
    network = load_feature_network("efficientnet_lite0")
    photos = [torch.from_numpy(x[:256, :384].copy()).permute(2, 0, 1) for x in (coffee(), chelsea())]
    tiles = [x.unfold(1, 64, 64).unfold(2, 64, 64).permute(1, 2, 0, 3, 4).reshape(-1, 3, 64, 64) for x in photos]
    statistics = style_statistics(torch.cat(tiles), network, batch_size=5)
    labels = np.repeat([0, 1], [len(x) for x in tiles])
    distances = Styles(statistics, labels, 2).distances(statistics)
    assert (distances.argmin(axis=1) == labels).mean() > 0.9
    # 1 is how far windows are from the mean of all of them.
    assert Styles(statistics, np.zeros(len(labels), np.int64), 1).distances(statistics).mean() == pytest.approx(1)
    with pytest.raises(InsufficientDataError):
        Styles(statistics, labels, 3)


def test_content_is_lost_by_another_image_more_than_by_other_colors() -> None:
    network = load_feature_network("efficientnet_lite0")
    photo = torch.from_numpy(coffee()[:128, :128].copy()).permute(2, 0, 1)[None]
    other = torch.from_numpy(chelsea()[:128, :128].copy()).permute(2, 0, 1)[None]
    recolored, different = (content_distance(x, photo, network)[0] for x in (photo // 2 + 60, other))
    assert content_distance(photo, photo, network)[0] == 0
    assert 0 < recolored < 0.5 * different
