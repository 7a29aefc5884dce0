"""A trainer that was paused while another went on with its run (fault 6)."""

import signal
from pathlib import Path

from gan_models.training.__main__ import main
from tests.support.training_runs import DCGAN, Running, train_section, write_run


def test_a_trainer_that_wakes_after_another_went_on_with_its_run_changes_no_file_of_it(tmp_path: Path):
    arguments = write_run(tmp_path, train_section(DCGAN, steps=60, checkpoint_every=10))
    run = tmp_path / "run"
    paused = Running(arguments)
    paused.wait_for((run / "checkpoints" / "step-000020.json").exists)
    paused.send_signal(signal.SIGSTOP)
    (run / ".lock").unlink()  # as on a volume of several hosts, where the lock of one that is cut off is given away
    assert main(arguments) == 0
    left = files_in(run)

    paused.send_signal(signal.SIGCONT)

    code, errors = paused.wait()
    assert code == 2
    assert f"another process went on with the run in {run} while this one was paused" in errors
    assert "Traceback" not in errors
    assert files_in(run) == left


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
