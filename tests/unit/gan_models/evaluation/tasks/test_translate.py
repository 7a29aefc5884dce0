"""Models that translate are compared with the target domain, with their inputs, and with doing nothing."""

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage.data import astronaut, coffee

from gan_models.bundles.bundle import save_bundle
from gan_models.config import EvaluateConfig, ExtractorConfig, ImageConfig, recipe_config
from gan_models.data.image_row import ImageRow
from gan_models.data.shard_writer import write_shards
from gan_models.data.shards import DataError
from gan_models.data.split_index import Listing
from gan_models.evaluation.comparison import load_evaluation
from gan_models.evaluation.run import evaluate_to
from gan_models.ingest.decoding import encode_png, image_id
from gan_models.recipes import build_generator
from tests.support.checked import present
from tests.support.training_runs import CUT, CYCLEGAN, PAIRS, PIX2PIX

EACH = ["fd_efficientnet_lite0", "kd_efficientnet_lite0", "content_ssim"]
EACH += ["feature_distance_efficientnet_lite0", "diversity"]
CONFIG = EvaluateConfig(num_images=24, extractor=ExtractorConfig(size=32))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiles of two photographs, one of them in the part of paintings; every third is for evaluation."""
    directory = tmp_path_factory.mktemp("translator") / "data"
    records = []
    for photo, domain in ((astronaut(), "photo"), (coffee(), "painting")):
        for number in range(36):
            row, column = divmod(number, 6)
            tile = Image.fromarray(photo[64 * row : 64 * row + 32, 64 * column : 64 * column + 32])
            split = "train" if number % 3 else "evaluation"
            content = encode_png(tile)
            records.append(ImageRow(content, "x.png", image_id(tile), split, None, domain, 32, 32, "test"))
    write_shards(records, directory)
    return directory


def evaluated(section: dict[str, object], data: Path, out: Path, cache: Path | None = None) -> Path:
    torch.manual_seed(0)
    recipe, image = recipe_config(section), ImageConfig(size=16, fit="crop")
    about = {"label_names": (), "num_steps": 1, "config_digest": "", "data_digest": ""}
    save_bundle(out / "bundle", build_generator(recipe, image, 0), recipe=recipe, image=image, **about)
    evaluate_to(out, out / "bundle", data, CONFIG, cache=cache, device="cpu")
    return out


def test_one_direction_gets_its_distance_content_and_pictures(data: Path, tmp_path: Path) -> None:
    out = evaluated(CUT, data, tmp_path)
    result = load_evaluation(out)[0]
    metrics = result.by_key()
    assert list(metrics) == EACH
    distance = metrics["fd_efficientnet_lite0"]
    assert distance.baseline_name == "the untouched inputs"
    assert present(distance.baseline) > 0
    assert "include those of training" in distance.note  # there are 48 of evaluation
    assert [picture.file for picture in result.pictures] == [
        "pictures/photo_to_painting.png",
        "pictures/photo_to_painting_worst.png",
    ]
    lines = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    assert [line["done"] for line in lines] == list(range(lines[-1]["total"] + 1))


def test_cyclegan_is_judged_in_both_directions_and_on_the_way_back(data: Path, tmp_path: Path) -> None:
    result = load_evaluation(evaluated(CYCLEGAN, data, tmp_path))[0]
    each = [*EACH, "cycle_psnr"]
    assert list(result.by_key()) == [*each, *(f"reverse/{name}" for name in each)]
    assert len(result.pictures) == 4


def test_pairs_are_compared_with_the_input_itself_and_with_the_mean_image(data: Path, tmp_path: Path) -> None:
    metrics = load_evaluation(evaluated(PIX2PIX, data, tmp_path))[0].by_key()
    for name in ("psnr", "ssim"):
        value, baseline = metrics[name].value, present(metrics[name].baseline)
        gains = metrics[f"{name}_gain_identity"].value, metrics[f"{name}_gain_mean"].value
        assert min(gains) == pytest.approx(value - baseline)
    assert metrics["psnr"].protocol.degradation == {"input": "edges", "target": "image"}
    assert {"fd_efficientnet_lite0", "kd_efficientnet_lite0", "diversity"} <= metrics.keys()
    assert metrics["feature_distance_efficientnet_lite0"].baseline_name == "the input itself"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiles of a photograph and, in the other domain, the same tiles lighter by 20 gray levels."""
    records = []
    for number in range(48):
        row, column = divmod(number, 8)
        tile = astronaut()[64 * row : 64 * row + 32, 64 * column : 64 * column + 32] // 2
        keys = [image_id(Image.fromarray(pixels)) for pixels in (tile, tile + 20)]
        for key, pixels, domain in zip(keys, (tile, tile + 20), ("photo", "map"), strict=True):
            split, content = "train" if number % 3 else "evaluation", encode_png(Image.fromarray(pixels))
            records.append(ImageRow(content, "x.png", key, split, None, domain, 32, 32, "test", pair=keys[0]))
    directory = tmp_path_factory.mktemp("pairs") / "data"
    write_shards(records, directory)
    return directory


def test_pairs_of_a_dataset_are_compared_partner_by_partner(pairs: Path, tmp_path: Path) -> None:
    result = load_evaluation(evaluated(PAIRS, pairs, tmp_path))[0]
    metrics = result.by_key()
    # Against its own partner each input lacks 20 of 255: had one partner been another's, it would be further.
    identity = metrics["psnr"].value - metrics["psnr_gain_identity"].value
    assert identity == pytest.approx(20 * math.log10(255 / 20), abs=1e-6)
    assert metrics["psnr"].num_images == 24  # as asked, of 64 windows
    assert metrics["psnr"].baseline_name == "the input itself"
    assert metrics["psnr"].protocol.degradation == {"input": "photo", "target": "map"}
    assert metrics["diversity"].baseline_name == "real images of 'map'"
    assert [picture.file for picture in result.pictures] == [
        "pictures/photo_to_map.png",
        "pictures/photo_to_map_worst.png",
    ]
    assert not any("near copies" in note for note in result.notes)


def test_pairs_of_a_dataset_are_decoded_once(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = load_evaluation(evaluated(PAIRS, pairs, tmp_path / "a"))[0]
    first = load_evaluation(evaluated(PAIRS, pairs, tmp_path / "b", tmp_path / "cache"))[0]
    monkeypatch.setattr(Listing, "decode", None)
    assert load_evaluation(evaluated(PAIRS, pairs, tmp_path / "c", tmp_path / "cache"))[0] == first == without


def test_an_evaluation_image_without_a_partner_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the images of 'photo' and 'painting' in .* are no pairs"):
        evaluated({**PAIRS, "target_domain": "painting"}, data, tmp_path)


def test_tones_are_judged_by_their_overlap(data: Path, tmp_path: Path) -> None:
    section = {**PIX2PIX, "input": "image", "target": "tones"}
    metrics = load_evaluation(evaluated(section, data, tmp_path))[0].by_key()
    assert list(metrics) == ["tone_iou", "tone_iou_gain_identity", "tone_iou_gain_mean"]
    assert 0 < metrics["tone_iou"].value < 1
    assert metrics["tone_iou"].value - present(metrics["tone_iou"].baseline) == pytest.approx(
        min(metrics["tone_iou_gain_identity"].value, metrics["tone_iou_gain_mean"].value)
    )


def test_a_domain_that_the_data_lacks_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images of the domain 'sketch', only of: painting, photo"):
        evaluated({**CUT, "target_domain": "sketch"}, data, tmp_path)
