"""The promotion rules: what holds, what does not, and what a person is told about it."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from flows.config.promote_section import Rule
from flows.evaluations.rules import apply_rules
from flows.runtime.records import MetricValue, Verdict
from gan_models.config import ConfigError, validate
from gan_models.evaluation.result import LeftOut

NAN = math.nan


@dataclass(frozen=True)
class Difference:
    """Challenger minus champion, as gan_models.evaluation.comparison gives it."""

    value: float
    low: float
    high: float
    verdict: Literal["better", "worse", "tie", "changed"]


BETTER = Difference(-3.0, -5.0, -1.0, "better")
WORSE = Difference(3.0, 1.0, 5.0, "worse")
TIE = Difference(0.5, -1.0, 2.0, "tie")
CHANGED = Difference(0.5, 0.2, 0.8, "changed")


def metric(value: float, low: float, high: float, baseline: float | None = None) -> MetricValue:
    return MetricValue(value=value, low=low, high=high, baseline=baseline)


MEASURED = {"diversity": metric(1.0, 1.0, 1.0), "classes_present": metric(1.0, 1.0, 1.0)}


def judge(rule: dict[str, Any], measured: MetricValue, champion: dict[str, Difference] | str | None = None) -> Verdict:
    """The verdict of one rule about the metric `fd`."""
    (verdict,) = apply_rules([Rule(metric="fd", **rule)], {"fd": measured}, champion)
    return verdict


# Absolute rules


@pytest.mark.parametrize(
    ("low", "holds"), [(0.81, True), (0.8, True), (0.79, False)], ids=["above", "at the bound", "reaching below"]
)
def test_at_least_must_hold_for_the_whole_interval(low: float, holds: bool):
    assert judge({"at_least": 0.8}, metric(0.9, low, 0.95)).passed is holds


@pytest.mark.parametrize(
    ("high", "holds"), [(9.9, True), (10.0, True), (10.1, False)], ids=["below", "at the bound", "reaching above"]
)
def test_at_most_must_hold_for_the_whole_interval(high: float, holds: bool):
    assert judge({"at_most": 10.0}, metric(9.0, 8.0, high)).passed is holds


def test_a_bound_of_zero_is_a_bound():
    assert judge({"at_most": 0.0}, metric(-1.0, -2.0, -0.5)).passed
    assert not judge({"at_most": 0.0}, metric(0.1, -0.2, 0.5)).passed
    assert not judge({"at_least": 0.0}, metric(0.1, -0.2, 0.5)).passed


def test_a_verdict_shows_the_number_its_interval_and_the_bound():
    verdict = judge({"at_least": 0.8}, metric(0.9, 0.75, 0.95))
    assert verdict.rule == "fd at least 0.8"
    assert verdict.reason == "0.9 [0.75, 0.95], not wholly at least 0.8"
    assert judge({"at_most": 1.0}, metric(0.9, 0.75, 0.95)).reason == "0.9 [0.75, 0.95], wholly at most 1"


def test_a_bound_of_the_baseline_is_a_multiple_of_it():
    half_of_the_baseline = {"at_least": 0.5, "of": "baseline"}
    verdict = judge(half_of_the_baseline, metric(6.0, 5.1, 7.0, baseline=10.0))
    assert verdict.passed
    assert verdict.rule == "fd at least 0.5 x baseline"
    assert "at least 5" in verdict.reason
    assert not judge(half_of_the_baseline, metric(6.0, 4.9, 7.0, baseline=10.0)).passed
    assert judge({"at_most": 2.0, "of": "baseline"}, metric(18.0, 17.0, 20.0, baseline=10.0)).passed
    assert not judge({"at_most": 2.0, "of": "baseline"}, metric(18.0, 17.0, 20.1, baseline=10.0)).passed


def test_a_bound_of_a_baseline_that_was_not_measured_fails_and_says_so():
    verdict = judge({"at_least": 0.5, "of": "baseline"}, metric(6.0, 5.0, 7.0))
    assert not verdict.passed
    assert verdict.reason == "'fd' has no baseline to be compared with"


def test_a_metric_that_was_not_measured_fails_and_those_that_were_are_named():
    for rule, champion in (({"at_most": 1.0}, None), ({"better_than": "champion"}, {"diversity": BETTER})):
        (verdict,) = apply_rules([Rule(metric="fd", **rule)], MEASURED, champion)
        assert not verdict.passed
        assert verdict.reason == "'fd' was not measured; measured are classes_present, diversity"


def test_a_metric_that_was_left_out_fails_with_the_reason_and_from_which_number_on_it_is_measured():
    left_out = LeftOut(name="fd", reason="takes 64 photographs or more, and these are 12", smallest=64)
    (verdict,) = apply_rules([Rule(metric="fd", at_most=1.0)], MEASURED, None, [left_out])
    assert not verdict.passed
    assert verdict.reason == "'fd' was not measured: it takes 64 photographs or more, and these are 12"


def test_without_a_champion_a_rule_about_it_holds_and_says_that_its_metric_was_not_measured():
    (verdict,) = apply_rules([Rule(metric="fd", better_than="champion")], MEASURED, None)
    assert verdict.passed
    assert verdict.reason.startswith("there is no champion yet; 'fd' was not measured")


@pytest.mark.parametrize("rule", [{"at_least": -1e9}, {"at_most": 1e9}], ids=["at least", "at most"])
@pytest.mark.parametrize("measured", [metric(NAN, NAN, NAN), metric(1.0, NAN, NAN)], ids=["all of it", "the interval"])
def test_a_number_that_is_none_meets_no_bound(rule: dict[str, float], measured: MetricValue):
    assert not judge(rule, measured).passed


@pytest.mark.parametrize("baseline", [NAN, math.inf, 0.0, -0.002], ids=["nan", "infinite", "zero", "negative"])
@pytest.mark.parametrize("rule", [{"at_least": 0.5}, {"at_most": 2.0}], ids=["at least", "at most"])
@pytest.mark.parametrize("value", [-5.0, 0.0, 5.0])
def test_a_baseline_that_is_not_above_zero_bounds_nothing_and_says_so(rule: dict[str, float], value, baseline):
    verdict = judge({**rule, "of": "baseline"}, metric(value, value, value, baseline=baseline))
    assert not verdict.passed
    assert "of numbers above 0 alone; give a bound without 'of: baseline'" in verdict.reason


# Rules about the champion


@pytest.mark.parametrize("rule", ["better_than", "not_worse_than"])
def test_without_a_champion_the_rules_about_it_hold(rule: str):
    verdict = judge({rule: "champion"}, metric(1.0, 1.0, 1.0), None)
    assert verdict.passed
    assert verdict.reason == "there is no champion yet"


def test_without_a_champion_the_absolute_rules_still_decide():
    rules = [Rule(metric="fd", at_most=1.0), Rule(metric="fd", better_than="champion")]
    verdicts = apply_rules(rules, {"fd": metric(5.0, 4.0, 6.0)}, None)
    assert [verdict.passed for verdict in verdicts] == [False, True]


@pytest.mark.parametrize("rule", ["better_than", "not_worse_than"])
def test_a_champion_that_cannot_be_compared_with_fails_every_rule_about_it(rule: str):
    verdict = judge({rule: "champion"}, metric(1.0, 1.0, 1.0), "champion version 3 cannot be loaded")
    assert not verdict.passed
    assert verdict.reason == "champion version 3 cannot be loaded"


def test_a_champion_that_cannot_be_compared_with_leaves_the_absolute_rules_alone():
    assert judge({"at_most": 2.0}, metric(1.0, 1.0, 1.0), "champion version 3 cannot be loaded").passed


@pytest.mark.parametrize(
    ("difference", "better", "not_worse"),
    [(BETTER, True, True), (TIE, False, True), (WORSE, False, False), (CHANGED, False, False)],
    ids=["better", "tie", "worse", "changed"],
)
def test_better_wants_better_and_not_worse_takes_a_tie_too(difference: Difference, better: bool, not_worse: bool):
    measured, champion = metric(1.0, 1.0, 1.0), {"fd": difference}
    assert judge({"better_than": "champion"}, measured, champion).passed is better
    assert judge({"not_worse_than": "champion"}, measured, champion).passed is not_worse


def test_a_comparison_shows_the_difference_and_its_interval():
    measured = metric(1.0, 1.0, 1.0)
    tie = judge({"not_worse_than": "champion"}, measured, {"fd": TIE})
    assert tie.rule == "fd not worse than the champion"
    assert tie.reason == "a tie with the champion: difference 0.5 [-1, 2]"
    worse = judge({"better_than": "champion"}, measured, {"fd": WORSE})
    assert worse.rule == "fd better than the champion"
    assert worse.reason == "worse than the champion: difference 3 [1, 5]"


def test_a_metric_that_the_champion_lacks_fails():
    verdict = judge({"not_worse_than": "champion"}, metric(1.0, 1.0, 1.0), {"diversity": BETTER})
    assert not verdict.passed
    assert verdict.reason == "the champion has no 'fd' to compare with"


@pytest.mark.parametrize("rule", ["better_than", "not_worse_than"])
def test_a_difference_that_is_no_number_is_no_improvement(rule: str):
    claimed = Difference(NAN, NAN, NAN, "better")
    assert not judge({rule: "champion"}, metric(1.0, 1.0, 1.0), {"fd": claimed}).passed


# What a rule may say


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"at_least": 0.5, "at_most": 1.0},
        {"at_least": 0.5, "better_than": "champion"},
        {"better_than": "champion", "not_worse_than": "champion"},
    ],
    ids=["none", "two bounds", "a bound and a comparison", "two comparisons"],
)
def test_a_rule_has_exactly_one_condition(conditions: dict[str, Any]):
    with pytest.raises(ConfigError, match="exactly one of at_least, at_most, better_than, not_worse_than"):
        validate(Rule, {"metric": "fd", **conditions}, "rules")


def test_a_share_of_the_baseline_needs_a_bound():
    with pytest.raises(ConfigError, match="'of: baseline' goes with at_least or at_most"):
        validate(Rule, {"metric": "fd", "better_than": "champion", "of": "baseline"}, "rules")


def test_verdicts_come_in_the_order_of_the_rules():
    rules = [Rule(metric=name, at_least=0.0) for name in ("c", "a", "b")]
    verdicts = apply_rules(rules, {name: metric(1.0, 1.0, 1.0) for name in "abc"}, None)
    assert [verdict.rule.split()[0] for verdict in verdicts] == ["c", "a", "b"]
