"""What a stage is done again for: code that can change its result, and nothing else."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.lookup import dataset, evaluation, training
from flows.runtime.code_digest import DISPLAY, PACKAGES, code_digest, import_closure

STAGES = {"dataset": dataset.ENTRY_POINTS, "train": training.ENTRY_POINTS, "evaluate": evaluation.ENTRY_POINTS}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("untouched")
    for package in ("flows", "gan_models"):
        shutil.copytree(PACKAGES / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def changed(untouched: Path, tmp_path: Path) -> Callable[[str, Callable[[str], str]], set[str]]:
    """Change a file of a copy; the stages that are done again for it."""

    def change(file: str, edit: Callable[[str], str]) -> set[str]:
        copy = tmp_path / "copy"
        shutil.copytree(untouched, copy)
        text = (copy / file).read_text()
        assert edit(text) != text, "the edit finds what it changes"
        (copy / file).write_text(edit(text))
        return {
            stage
            for stage, modules in STAGES.items()
            if code_digest(*modules, packages=copy) != code_digest(*modules, packages=untouched)
        }

    return change


def test_a_comment_at_the_end_of_any_file_does_nothing_again(untouched: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    shutil.copytree(untouched, copy)
    for file in copy.rglob("*.py"):
        file.write_text(f"{file.read_text()}\n# a remark\n")
    for modules in STAGES.values():
        assert code_digest(*modules, packages=copy) == code_digest(*modules, packages=untouched)


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        (
            "gan_models/training/loop.py",
            lambda text: text.replace("The training loop.", "Steps, in a loop."),
        ),
        ("gan_models/losses/adversarial.py", lambda text: text.replace("\n\n\n", "\n\n\n\n\n")),
        ("gan_models/training/progress.py", lambda text: f"{text}\nCOLOR = 3\n"),
        ("gan_models/evaluation/report.py", lambda text: f"{text}\nCOLOR = 3\n"),
        ("flows/cli/main.py", lambda text: f"{text}\nCOLOR = 3\n"),
    ],
)
def test_what_changes_no_result_does_nothing_again(changed, file: str, edit: Callable[[str], str]):
    assert changed(file, edit) == set()


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("gan_models/data/shards.py", {"dataset", "train", "evaluate"}),
        ("flows/datasets/builder.py", {"dataset"}),
        ("flows/datasets/expectations.py", {"dataset"}),
        ("flows/datasets/ingest_session.py", {"dataset"}),
        ("flows/sources/files.py", {"dataset"}),
        ("gan_models/ingest/drift.py", {"dataset"}),
        ("gan_models/ingest/perceptual_hash.py", {"dataset"}),
        ("gan_models/losses/adversarial.py", {"train", "evaluate"}),
        ("gan_models/training/loop.py", {"train"}),
        ("gan_models/training/ema.py", {"train"}),
        ("gan_models/evaluation/metrics/psnr.py", {"evaluate"}),
        ("gan_models/evaluation/stats/intervals.py", {"evaluate"}),
    ],
)
def test_what_decides_a_result_is_done_again_for(changed, file: str, stages: set[str]):
    assert changed(file, lambda text: f"{text}\nDECIDES = 3\n") == stages


def test_a_number_within_a_function_counts(changed):
    assert changed("gan_models/data/shards.py", lambda text: text.replace("2**64", "2**63"))


def test_modules_that_only_display_exist():
    for module in DISPLAY:
        path = PACKAGES.joinpath(*module.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file(), module


def test_imports_are_followed_through_packages_that_pass_names_on():
    closure = import_closure("flows.datasets.expectations")
    assert "gan_models.ingest.drift" in closure
    assert not [module for module in closure if module.startswith(("gan_models.training", "gan_models.networks"))]


def test_an_entry_point_that_does_not_exist_is_an_error():
    with pytest.raises(ModuleNotFoundError, match=r"gan_models\.traning"):
        import_closure("gan_models.traning")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "gan_models"
    folder.mkdir()
    (folder / "numbers.py").write_text("ONE = 1\n")
    return folder


def test_what_is_imported_where_types_are_not_checked_counts(package: Path):
    (package / "entry.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    from gan_models.numbers import ONE\n"
    )
    assert "gan_models.numbers" in import_closure("gan_models.entry", packages=package.parent)


def test_an_import_that_no_digest_follows_is_refused_and_not_passed_over(package: Path):
    (package / "entry.py").write_text("from .numbers import ONE\n")
    with pytest.raises(ValueError, match="line 1 imports by a relative name"):
        import_closure("gan_models.entry", packages=package.parent)
