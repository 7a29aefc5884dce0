"""Too few images for what follows a training are said before it, by whoever trains."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from gan_models.config import EvaluateConfig, TrainConfig
from gan_models.data.shards import DataError
from gan_models.data.split_index import Listing
from gan_models.training.__main__ import main
from gan_models.training.preflight import check_enough_data
from tests.support.training_runs import CUT, DCGAN, RESTORE, STYLE_BANK, train_config, train_section, write_data

EVALUATE = EvaluateConfig(num_images=100)


def listing(num: int, config: TrainConfig, labels: list[str] | None = None, side: int = 16) -> Listing:
    """A split of `num` images, labeled by the given labels in turn."""
    names = tuple(labels or ())
    label = pa.array([i % len(names) if names else None for i in range(num)], pa.int64())
    rows = pa.table({"id": [f"{i:064x}" for i in range(num)], "label": label})
    return Listing(config.image, rows, (), names, (config.image.channels, side, side), "digest")


def refusal(training: list[Listing], evaluation: list[Listing], config: TrainConfig, **evaluate: Any) -> str:
    with pytest.raises(DataError) as refused:
        check_enough_data(training, evaluation, config, EVALUATE.model_copy(update=evaluate))
    return str(refused.value)


def test_six_pictures_are_too_few_to_measure_a_generator_on():
    config = train_config(DCGAN)
    message = refusal([listing(4, config)], [listing(2, config)], config)
    assert message.startswith("there are 2 evaluation images, and the model could not be measured on fewer than 10")
    assert "add images or raise dataset.evaluation_share" in message


def test_few_training_images_are_said_too():
    config = train_config(DCGAN)
    message = refusal([listing(4, config)], [listing(20, config)], config)
    assert message.startswith("there are 4 training images")


def test_a_small_domain_is_named():
    config = train_config(CUT)
    message = refusal([listing(90, config)] * 2, [listing(30, config), listing(6, config)], config)
    assert message.startswith("there are 6 evaluation images of the domain 'painting'")


def test_windows_count_where_images_are_cropped():
    config = train_config(RESTORE, image={"size": 8, "channels": 3, "fit": "crop"})
    check_enough_data([listing(9, config)], [listing(3, config, side=16)], config, EVALUATE)
    assert "there are 8 evaluation images" in refusal([listing(9, config)], [listing(2, config, side=16)], config)


def test_styles_are_measured_by_the_paintings_of_training():
    config = train_config(STYLE_BANK)
    check_enough_data([listing(90, config)] * 2, [listing(30, config), listing(2, config)], config, EVALUATE)


def test_labels_of_one_image_each_are_refused():
    config, labels = train_config(DCGAN), [f"kind {i}" for i in range(700)]
    message = refusal([listing(1_400, config, labels)], [listing(700, config, labels)], config)
    assert message.startswith("each of the 700 labels has one evaluation image")
    assert "train.recipe.conditional to false" in message


def test_fewer_images_to_draw_than_labels_are_refused():
    config, labels = train_config(DCGAN), [f"kind {i}" for i in range(700)]
    split = [listing(1_400, config, labels)]
    assert "raise it to 1400 or more" in refusal(split, split, config, num_images=500)
    check_enough_data(split, split, config, EvaluateConfig(num_images=1_400))


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., list[str]]:
    """The command line of a training on a tiny dataset, with sections of a config besides `train`."""

    def of(**sections: Any) -> list[str]:
        write_data(DCGAN, tmp_path / "data", num=10)
        content = {"train": train_section(DCGAN), **sections}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
        return [
            *("--config", str(tmp_path / "config.yaml")),
            *("--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")),
        ]

    return of


@pytest.mark.parametrize("dry_run", [False, True], ids=["train", "dry run"])
def test_the_trainer_says_it_before_the_first_step(command, tmp_path: Path, capsys, dry_run: bool):
    assert main(command(evaluate={"num_images": 24}) + ["--dry-run"] * dry_run) == 2
    assert capsys.readouterr().err.startswith("error: there are 2 evaluation images, and the model could not be")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_model_that_nobody_evaluates_trains_on_as_few_as_there_are(command):
    assert main(command()) == 0


def test_a_bug_in_the_trainer_keeps_its_traceback(command, monkeypatch: pytest.MonkeyPatch):
    def broken(*arguments: Any) -> None:
        raise KeyError("champion")

    monkeypatch.setattr("gan_models.training.run.load_data", broken)
    with pytest.raises(KeyError, match="champion"):
        main(command())
