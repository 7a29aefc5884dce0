"""What `python -m gan_models.training` says and answers when something is wrong."""

import fcntl
import functools
import json
import resource
from pathlib import Path

import pytest
import yaml

from gan_models.training.__main__ import main
from tests.support.training_runs import DCGAN, RESTORE, Running, train_section, write_run


def arguments(directory: Path, section: dict[str, object]) -> list[str]:
    return write_run(directory, section)


def change_config(directory: Path, **changes: object) -> None:
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump({"train": {**yaml.safe_load(path.read_text())["train"], **changes}}))


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    return errors


@pytest.mark.parametrize("recipe", [DCGAN, RESTORE])
def test_a_run_leaves_metrics_samples_a_checkpoint_and_a_bundle(tmp_path: Path, recipe) -> None:
    assert main(arguments(tmp_path, train_section(recipe))) == 0
    run = tmp_path / "run"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    assert all(line["steps"] == 12 for line in lines)
    assert {"loss/generator", "loss/discriminator", "throughput/images_per_second"} <= lines[-1]["values"].keys()
    assert sorted(path.name for path in (run / "samples").iterdir()) == [
        "step-000000.png",
        "step-000006.png",
        "step-000012.png",
    ]
    assert sorted(path.name for path in (run / "bundle").iterdir()) == ["bundle.json", "model.safetensors"]
    assert len(list((run / "checkpoints").glob("*.pt"))) == 2


def test_steps_on_the_command_line_win(tmp_path: Path) -> None:
    assert main([*arguments(tmp_path, train_section(DCGAN)), "--steps", "2"]) == 0
    assert json.loads((tmp_path / "run" / "bundle" / "bundle.json").read_text())["num_steps"] == 2


def test_an_unknown_key_is_answered_with_the_nearest_one(tmp_path: Path, capsys) -> None:
    command = arguments(tmp_path, train_section(DCGAN))
    change_config(tmp_path, recipe={**DCGAN, "wdith": 8})
    assert main(command) == 2
    assert "did you mean 'width'?" in error_of(capsys)


def test_an_unknown_recipe_is_answered_with_the_nearest_one(tmp_path: Path, capsys) -> None:
    command = arguments(tmp_path, train_section(DCGAN))
    change_config(tmp_path, recipe={"name": "dcgna"})
    assert main(command) == 2
    assert "did you mean 'dcgan'?" in error_of(capsys)


def test_a_size_that_a_recipe_cannot_make_is_refused(tmp_path: Path, capsys) -> None:
    section = train_section(DCGAN, image={"size": 20, "channels": 1})
    assert main(arguments(tmp_path, section)) == 2
    assert "power of two" in error_of(capsys)


def test_missing_data_is_one_clear_line(tmp_path: Path, capsys) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"train": train_section(DCGAN)}))
    options = [
        "--config",
        str(tmp_path / "config.yaml"),
        "--data",
        str(tmp_path / "none"),
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(options) == 2
    assert "no shards" in error_of(capsys)


def test_a_gpu_that_is_asked_for_and_absent_is_one_clear_line(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(arguments(tmp_path, train_section(DCGAN, device="cuda"))) == 2
    assert "GPU" in error_of(capsys)


def test_resuming_with_another_config_is_refused(tmp_path: Path, capsys, monkeypatch) -> None:
    command = arguments(tmp_path, train_section(DCGAN, steps=4))
    assert main(command) == 0
    assert main([*command, "--steps", "8"]) == 2
    assert "finished run of another config" in error_of(capsys)
    (tmp_path / "run" / "bundle").rename(tmp_path / "elsewhere")
    assert main([*command, "--steps", "8"]) == 2
    assert "steps was 4 and is 8" in error_of(capsys)


def test_checkpoints_that_are_all_damaged_end_the_run_with_the_remedy(tmp_path: Path, capsys) -> None:
    command = arguments(tmp_path, train_section(DCGAN))
    assert main(command) == 0
    (tmp_path / "run" / "bundle").rename(tmp_path / "elsewhere")
    for path in (tmp_path / "run" / "checkpoints").glob("*.pt"):
        path.write_bytes(path.read_bytes()[:100])
    capsys.readouterr()
    assert main(command) == 2
    assert "to train from the start" in capsys.readouterr().err


def test_two_processes_cannot_train_into_one_directory(tmp_path: Path, capsys) -> None:
    command = arguments(tmp_path, train_section(DCGAN))
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(command) == 2
    assert "another process is training" in error_of(capsys)


def test_a_full_disk_ends_the_run_with_one_clear_line(tmp_path: Path) -> None:
    command = arguments(tmp_path, train_section(DCGAN))
    limit = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (4096, 4096))
    code, errors = Running(command, prepare=limit).wait()
    assert code == 2
    assert "no space left" in errors
    assert "Traceback" not in errors


def test_losses_that_are_never_finite_end_the_run_with_exit_code_3(tmp_path: Path, capsys) -> None:
    section = train_section({**DCGAN, "learning_rate": 1e30}, checkpoint_every=100)
    assert main(arguments(tmp_path, section)) == 3
    errors = capsys.readouterr().err
    assert "unhealthy" in errors
    assert " at step " in errors
    assert not (tmp_path / "run" / "bundle").exists()
