"""The promotion rules applied to numbers: pure functions, no MLflow and no Prefect.

Absolute bounds must hold for the whole 95% interval; comparisons with the champion use the interval of the difference.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from flows.config.promote_section import Rule
from flows.runtime.records import Evaluation, MetricValue, Verdict
from gan_models.evaluation.result import LeftOut


class Comparison(Protocol):
    """How a challenger's metric compares with the champion's; `value` is challenger minus champion."""

    @property
    def value(self) -> float:
        """Return the estimate of the difference."""
        ...

    @property
    def low(self) -> float:
        """Return the lower end of its 95% interval."""
        ...

    @property
    def high(self) -> float:
        """Return the upper end of its 95% interval."""
        ...

    @property
    def verdict(self) -> Literal["better", "worse", "tie", "changed"]:
        """Return what the interval says; "changed" where neither direction is better."""
        ...


@dataclass(frozen=True)
class Judgment:
    """The rules' verdicts on a model, and the champion's numbers they rest on, if there is a champion."""

    verdicts: tuple[Verdict, ...]
    champion: Evaluation | None = None
    differences: tuple[Comparison, ...] = ()
    opponent_version: str | None = None


def apply_rules(
    rules: Sequence[Rule],
    metrics: Mapping[str, MetricValue],
    champion: Mapping[str, Comparison] | str | None,
    left_out: Sequence[LeftOut] = (),
) -> tuple[Verdict, ...]:
    """Return one verdict per rule.

    Args:
        metrics: the challenger's numbers by key.
        left_out: what was not measured of it, and why.
        champion: differences to the champion by key; None where there is no champion yet, so that only the absolute
            rules count; a text where there is one that could not be compared, which fails every rule about it.
    """
    reasons = {metric.key: metric.reason for metric in left_out}
    return tuple(_apply(rule, metrics, champion, reasons) for rule in rules)


def _apply(
    rule: Rule,
    metrics: Mapping[str, MetricValue],
    champion: Mapping[str, Comparison] | str | None,
    left_out: Mapping[str, str],
) -> Verdict:
    metric = metrics.get(rule.metric)
    if metric is None:
        why = f": it {left_out[rule.metric]}" if rule.metric in left_out else f"; measured are {_listed(metrics)}"
        missing = f"'{rule.metric}' was not measured{why}"
        if rule.against_champion and champion is None:  # as for every rule about it, but it could never hold later
            return Verdict(rule=str(rule), passed=True, reason=f"there is no champion yet; {missing}")
        return Verdict(rule=str(rule), passed=False, reason=missing)
    if rule.against_champion:
        return _compare(rule, champion)
    scale = 1.0
    if rule.of:
        if metric.baseline is None:
            return Verdict(rule=str(rule), passed=False, reason=f"'{rule.metric}' has no baseline to be compared with")
        if not (math.isfinite(metric.baseline) and metric.baseline > 0):
            reason = f"the baseline is {metric.baseline:.4g}, and a multiple says something of numbers above 0 alone"
            return Verdict(rule=str(rule), passed=False, reason=f"{reason}; give a bound without 'of: baseline'")
        scale = metric.baseline
    seen = _interval(metric)
    if rule.at_least is not None:
        bound = rule.at_least * scale
        return Verdict(
            rule=str(rule),
            passed=metric.low >= bound,
            reason=f"{seen}, {'' if metric.low >= bound else 'not '}wholly at least {bound:.4g}",
        )
    bound = (rule.at_most or 0.0) * scale
    return Verdict(
        rule=str(rule),
        passed=metric.high <= bound,
        reason=f"{seen}, {'' if metric.high <= bound else 'not '}wholly at most {bound:.4g}",
    )


def _compare(rule: Rule, champion: Mapping[str, Comparison] | str | None) -> Verdict:
    if champion is None:
        return Verdict(rule=str(rule), passed=True, reason="there is no champion yet")
    if isinstance(champion, str):
        return Verdict(rule=str(rule), passed=False, reason=champion)
    difference = champion.get(rule.metric)
    if difference is None:
        return Verdict(rule=str(rule), passed=False, reason=f"the champion has no '{rule.metric}' to compare with")
    if not (math.isfinite(difference.low) and math.isfinite(difference.high)):
        reason = f"cannot be compared with the champion's: difference {_interval(difference)}"
        return Verdict(rule=str(rule), passed=False, reason=reason)
    passed = difference.verdict == "better" or (bool(rule.not_worse_than) and difference.verdict == "tie")
    how = "a tie with" if difference.verdict == "tie" else f"{difference.verdict} than"
    return Verdict(rule=str(rule), passed=passed, reason=f"{how} the champion: difference {_interval(difference)}")


def _listed(metrics: Mapping[str, MetricValue]) -> str:
    return ", ".join(sorted(key for key, m in metrics.items() if not (m.slice and m.slice.is_one_of_many)))


def _interval(number: MetricValue | Comparison) -> str:
    return f"{number.value:.4g} [{number.low:.4g}, {number.high:.4g}]"
