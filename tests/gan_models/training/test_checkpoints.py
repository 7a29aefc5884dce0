"""Checkpoints survive what happens to files."""

import hashlib
import json
import os
import pickle
import resource
import zipfile
from pathlib import Path

import pytest
import torch

from gan_models.training.checkpoints import CheckpointError, Checkpoints

IDENTITY = {"steps": 100, "data": "abc"}


def state(value: float) -> dict[str, torch.Tensor]:
    return {"weights": torch.full((50,), value)}


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    kept = Checkpoints(tmp_path, keep=2, identity=IDENTITY)
    kept.save(10, state(1.0))
    kept.save(20, state(2.0))
    return kept


def loaded_step(checkpoints: Checkpoints) -> int:
    latest = checkpoints.load_latest()
    assert latest is not None
    step, content = latest
    assert torch.equal(content["weights"], state(step / 10)["weights"])
    return step


def test_the_newest_is_loaded_and_only_the_newest_are_kept(checkpoints: Checkpoints) -> None:
    checkpoints.save(30, state(3.0))
    assert loaded_step(checkpoints) == 30
    assert sorted(p.name for p in checkpoints.directory.glob("*.pt")) == ["step-000020.pt", "step-000030.pt"]


def test_an_empty_directory_holds_no_checkpoint(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "new", 2, IDENTITY).load_latest() is None


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def remove(path: Path) -> None:
    path.unlink()


def garble_the_manifest(path: Path) -> None:
    path.with_suffix(".json").write_text('{"step": 2')


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, remove, garble_the_manifest])
def test_a_damaged_one_is_named_and_the_one_before_is_used(checkpoints: Checkpoints, damage, caplog) -> None:
    damage(checkpoints.directory / "step-000020.pt")
    assert loaded_step(checkpoints) == 10
    assert "step-000020.pt is damaged" in caplog.text


def test_after_a_damaged_one_the_run_goes_on_and_its_checkpoints_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1, identity=IDENTITY)
    checkpoints.save(10, state(1.0))
    checkpoints.save(20, state(2.0))
    (tmp_path / "step-000020.pt").rename(tmp_path / "step-000040.pt")
    (tmp_path / "step-000020.json").rename(tmp_path / "step-000040.json")
    flip_a_bit(tmp_path / "step-000040.pt")
    checkpoints.save(30, state(3.0))
    assert loaded_step(checkpoints) == 30


def test_when_all_are_damaged_it_says_so_and_what_to_do(checkpoints: Checkpoints) -> None:
    for path in checkpoints.directory.glob("*.pt"):
        flip_a_bit(path)
    with pytest.raises(CheckpointError, match=r"all checkpoints .* are damaged .*remove .* to train from the start"):
        checkpoints.load_latest()


class Poison:
    def __reduce__(self):
        return os.mkdir, ("poisoned",)


def test_a_poisoned_pickle_is_refused_without_running(checkpoints: Checkpoints, monkeypatch, caplog, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    path = checkpoints.directory / "step-000020.pt"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(
                name, pickle.dumps({"state": Poison()}, protocol=2) if name.endswith("data.pkl") else content
            )
    manifest = json.loads(path.with_suffix(".json").read_text())
    manifest["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()  # an attacker can write a manifest too
    path.with_suffix(".json").write_text(json.dumps(manifest))

    assert loaded_step(checkpoints) == 10
    assert "step-000020.pt" in caplog.text
    assert not Path("poisoned").exists()
    torch.load(path, weights_only=False)  # the poison is real
    assert Path("poisoned").exists()


def test_a_write_that_finds_no_space_is_named_and_the_previous_checkpoint_is_intact(checkpoints: Checkpoints) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))  # a real write that stops in the middle
    try:
        with pytest.raises(CheckpointError, match=r"step 30 .* no space left"):
            checkpoints.save(30, state(3.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert loaded_step(checkpoints) == 20
    assert not list(checkpoints.directory.glob("*.partial"))


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, so no cleaning up is done."""


@pytest.mark.parametrize("operation", ["fsync", "replace", "unlink"])
@pytest.mark.parametrize("count", range(6))
def test_killed_at_any_file_operation_of_a_save_a_whole_checkpoint_loads(
    checkpoints: Checkpoints, monkeypatch, operation: str, count: int
) -> None:
    owner = os if operation == "fsync" else Path
    original, calls = getattr(owner, operation), []

    def killed_at_count(*arguments, **options):
        calls.append(arguments)
        if len(calls) > count:
            raise Killed
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, operation, killed_at_count)
        try:
            checkpoints.save(30, state(3.0))
        except Killed:
            assert len(calls) == count + 1
    assert loaded_step(Checkpoints(checkpoints.directory, 2, IDENTITY)) in (20, 30)
    assert not list(checkpoints.directory.glob("*.partial"))
    stems = [{p.stem for p in checkpoints.directory.glob(f"*{suffix}")} for suffix in (".pt", ".json")]
    assert stems[0] == stems[1]


def test_checkpoints_of_another_config_are_refused_naming_what_differs(checkpoints: Checkpoints) -> None:
    with pytest.raises(CheckpointError, match=r"another run \(steps was 100 and is 200\)"):
        Checkpoints(checkpoints.directory, 2, {**IDENTITY, "steps": 200}).load_latest()
