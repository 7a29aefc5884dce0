"""Checkpoints survive what happens to files."""

import hashlib
import json
import os
import pickle
import resource
import signal
import sys
import zipfile
from collections.abc import Callable
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


def in_child(save: Callable[[], None], prepare: Callable[[], None]) -> int:
    """Run `save` in a process of its own, which `prepare` has seen to the end of; returns how it ended."""
    child = os.fork()
    if child == 0:
        prepare()
        save()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(count: int) -> Callable[[], None]:
    """Makes this process kill itself at file operation number `count`: open, rename, remove or fsync."""

    def prepare() -> None:
        left, fsync = [count], os.fsync

        def operation() -> None:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def counted_fsync(descriptor: int) -> None:
            operation()
            fsync(descriptor)

        pytest.MonkeyPatch().setattr(os, "fsync", counted_fsync)  # the process ends with it
        sys.addaudithook(lambda event, _: operation() if event in ("open", "os.rename", "os.remove") else None)

    return prepare


def check_after_a_kill(checkpoints: Checkpoints) -> None:
    assert loaded_step(Checkpoints(checkpoints.directory, 2, IDENTITY)) in (20, 30)
    assert not list(checkpoints.directory.glob("*.partial"))
    stems = [{p.stem for p in checkpoints.directory.glob(f"*{suffix}")} for suffix in (".pt", ".json")]
    assert stems[0] == stems[1]


def test_killed_at_any_file_operation_of_a_save_a_whole_checkpoint_loads(tmp_path: Path) -> None:
    for count in range(100):
        checkpoints = Checkpoints(tmp_path / str(count), keep=2, identity=IDENTITY)
        checkpoints.save(10, state(1.0))
        checkpoints.save(20, state(2.0))
        new = state(3.0)
        code = in_child(lambda: checkpoints.save(30, new), kill_at(count))  # noqa: B023
        check_after_a_kill(checkpoints)
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert count >= 12  # open, fsync, rename, open, fsync for the data and the manifest each, and two removals
    assert loaded_step(checkpoints) == 30


@pytest.mark.parametrize("written", [1, 100, 1000])
def test_killed_in_the_middle_of_a_write_the_checkpoint_before_loads(checkpoints: Checkpoints, written: int) -> None:
    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # the kernel kills who writes more than that
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))

    new = state(3.0)
    assert in_child(lambda: checkpoints.save(30, new), prepare) == -signal.SIGXFSZ
    assert loaded_step(checkpoints) == 20
    check_after_a_kill(checkpoints)


def test_one_that_is_discarded_is_gone_unless_it_is_the_last(checkpoints: Checkpoints) -> None:
    checkpoints.discard(20)
    assert checkpoints.latest_step() == loaded_step(checkpoints) == 10
    checkpoints.discard(10)
    assert loaded_step(checkpoints) == 10


def test_checkpoints_of_another_config_are_refused_naming_what_differs(checkpoints: Checkpoints) -> None:
    with pytest.raises(CheckpointError, match=r"another run \(steps was 100 and is 200\)"):
        Checkpoints(checkpoints.directory, 2, {**IDENTITY, "steps": 200}).load_latest()
