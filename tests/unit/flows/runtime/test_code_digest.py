"""What a stage is done again for: code that can change its result, and nothing else."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.runtime.code_digest import DISPLAY, LISTS, PACKAGES, code_digest, import_closure
from tests.support.stage_code import STAGES, TASK_OF

OF_DCGAN = {"dataset": "dataset", "train": "train dcgan", "evaluate": "evaluate dcgan"}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("untouched")
    for package in ("flows", "gan_models"):
        shutil.copytree(PACKAGES / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def changed(untouched: Path, tmp_path: Path) -> Callable[[dict[str, str]], set[str]]:
    """Give files of a copy other contents; the stages that are done again for it, as "train dcgan"."""

    def change(contents: dict[str, str]) -> set[str]:
        copy = tmp_path / f"copy-{len(list(tmp_path.iterdir()))}"  # digests of a folder are kept
        shutil.copytree(untouched, copy)
        for file, content in contents.items():
            (copy / file).write_text(content)
        return {
            stage
            for stage, modules in STAGES.items()
            if code_digest(*modules, packages=copy) != code_digest(*modules, packages=untouched)
        }

    return change


def edited(file: str, edit: Callable[[str], str]) -> dict[str, str]:
    text = (PACKAGES / file).read_text()
    assert edit(text) != text, "the edit finds what it changes"
    return {file: edit(text)}


def and_more(file: str) -> dict[str, str]:
    return edited(file, lambda text: f"{text}\nDECIDES = 3\n")


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
    assert changed(edited(file, edit)) == set()


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
    done_again = changed(and_more(file))
    assert {stage for stage, of_dcgan in OF_DCGAN.items() if of_dcgan in done_again} == stages


@pytest.mark.parametrize("recipe", TASK_OF)
def test_a_changed_recipe_trains_and_measures_its_own_models_again_and_no_others(changed, recipe: str):
    own = {f"train {recipe}", f"evaluate {recipe}"}
    assert changed(and_more(f"gan_models/recipes/{recipe}.py")) == own
    assert changed(and_more(f"gan_models/config/recipes/{recipe}.py")) == own


@pytest.mark.parametrize(
    ("file", "recipes"),
    [
        ("gan_models/networks/dcgan_generator.py", {"dcgan", "wgan_gp", "vae"}),
        ("gan_models/networks/patch_discriminator.py", {"pix2pix", "cyclegan", "cut", "restore"}),
        ("gan_models/config/recipes/translation.py", {"pix2pix", "cyclegan", "cut"}),
        ("gan_models/losses/style.py", {"style_bank"}),
        ("gan_models/recipes/base.py", set(TASK_OF)),
    ],
)
def test_what_recipes_share_trains_the_models_of_each_that_imports_it_again(changed, file: str, recipes: set[str]):
    assert {stage for stage in changed(and_more(file)) if stage.startswith("train")} == {f"train {r}" for r in recipes}


@pytest.mark.parametrize(
    ("file", "task"),
    [("gan_models/evaluation/tasks/restore.py", "restore"), ("gan_models/inference/stylize.py", "stylize")],
)
def test_what_one_task_is_measured_by_measures_models_of_no_other_again(changed, file: str, task: str):
    assert changed(and_more(file)) == {f"evaluate {recipe}" for recipe, its in TASK_OF.items() if its == task}


def test_a_new_recipe_of_a_new_task_with_a_new_metric_does_nothing_again(changed):
    def listed(line: str, more: str) -> Callable[[str], str]:
        return lambda text: text.replace(line, line + more, 1)

    sections, metrics = "gan_models/config/recipes", "gan_models/evaluation/metrics"
    new_files = (f"{sections}/sagan.py", "gan_models/recipes/sagan.py", f"{metrics}/hue.py")
    contents = {
        **dict.fromkeys((*new_files, "gan_models/evaluation/tasks/colorize.py"), "NEW = 1\n"),
        **edited("gan_models/config/task.py", listed('"stylize"', ', "colorize"')),
        **edited(f"{sections}/__init__.py", listed("    DcganConfig\n", "    | SaganConfig\n")),
        **edited(
            f"{metrics}/catalog.py", listed("    return (\n", '        MetricKind("hue", "Hue", "", True, "Of it."),\n')
        ),
        **edited("gan_models/evaluation/measurable.py", listed("SEGMENTED = (", '"hue", ')),
    }
    assert changed(contents) == set()


def test_modules_that_only_list_exist():
    assert all(import_closure(f"{module}") == [] for module in LISTS)


def test_a_number_within_a_function_counts(changed):
    assert changed(edited("gan_models/data/shards.py", lambda text: text.replace("2**64", "2**63")))


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
