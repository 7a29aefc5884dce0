"""The table of `make test-numerics` names what failed, and each combination is started as its row says."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.support.numerics import Combination, Outcome, read_report, table_of

REPORT = """<testsuites><testsuite>
<testcase classname="tests.unit.gan_models.recipes.test_cut" name="test_it_learns"><failure message="0.9"/></testcase>
<testcase classname="tests.unit.gan_models.recipes.test_cut" name="test_it_starts"><error message="no data"/></testcase>
<testcase classname="tests.unit.gan_models.losses.test_style" name="test_it_is_blind"/>
</testsuite></testsuites>"""


def test_what_failed_or_could_not_be_run_is_named_and_the_rest_counted(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    assert read_report(tmp_path / "report.xml") == (1, ("test_cut::test_it_learns", "test_cut::test_it_starts"))


def test_the_table_has_a_row_per_combination_with_the_names_of_failures() -> None:
    outcomes = {
        Combination("AVX2", 2): Outcome(7, ("test_cut::test_it_learns",), 1.25),
        Combination("best", 1, seed=3): Outcome(8, (), 0.5),
    }
    written = io.StringIO()
    Console(file=written, width=120).print(table_of(outcomes))
    rows = [line for line in written.getvalue().splitlines() if "AVX2" in line or "best" in line]
    assert [row.replace("│", " ").split()[:6] for row in rows] == [
        ["AVX2", "2", "0", "7", "1", "1.2"],
        ["best", "1", "3", "8", "0", "0.5"],
    ]
    assert "test_cut::test_it_learns" in rows[0]


def test_another_seed_is_for_the_tests_of_learning_alone() -> None:
    assert "learning" not in Combination("best", 1).arguments()
    assert Combination("best", 1, seed=2).arguments()[-4:] == ["--seed", "2", "-m", "learning"]


def test_instructions_that_are_set_outside_do_not_reach_the_machine_s_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert "ATEN_CPU_CAPABILITY" not in Combination("best", 2).environment()
    assert Combination("best", 2).environment()["OMP_NUM_THREADS"] == "2"
    assert Combination("AVX2", 1).environment()["ONEDNN_MAX_CPU_ISA"] == "AVX2"
