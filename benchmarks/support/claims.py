"""What each row of the recipes' table has to show, decided from its numbers."""

from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.support.measured import Measured
from flows.evaluations.rules import apply_rules
from flows.runtime.records import MetricValue
from gan_models.evaluation.result import Metric

GENERATORS = ("dcgan", "wgan_gp", "r3gan")
UNPAIRED = ("cyclegan", "cut", "fastcut")
MOST_LISTED = 6  # conditions that a sentence can hold
FRECHET = "fd_efficientnet_lite0"
WELL_AHEAD = 0.5  # of the autoencoder's Fréchet distance, both less what real images score against real ones
RECOGNIZED = 0.9


class Claim(NamedTuple):
    """A condition, whether the numbers fulfill it, and the numbers."""

    condition: str
    holds: bool
    numbers: str


def claims_of(name: str, rows: Mapping[str, Measured]) -> list[Claim]:
    """Return the conditions on one row: what it is there to show, and its config's other absolute promotion rules.

    Bounds hold where the whole 95% interval is on their right side. A gain is over something plain, such as the input,
    a mean, or a classical method: it has to be above 0. Where a classical method was measured both told and not told
    what was done to an image, the model is held against the one that is as blind as itself.
    """
    measured = rows[name]
    keys = measured.result.by_key()
    gains = [metric for metric in keys.values() if "_gain" in metric.name and f"{metric.key}_blind" not in keys]
    claims = {metric.key: _above_zero(metric) for metric in gains}
    if name in GENERATORS:
        claims |= _of_generator(measured, rows)
    if name in UNPAIRED:
        claims |= _nearer_than_untouched(measured)
    values = {
        metric.key: MetricValue(value=metric.value, low=metric.low, high=metric.high, baseline=metric.baseline)
        for metric in measured.result.metrics
    }
    rules = [rule for rule in measured.config.promote.rules if not rule.against_champion and rule.metric not in claims]
    return [*claims.values(), *(Claim(v.rule, v.passed, v.reason) for v in apply_rules(rules, values, None))]


def claims_of_generation(rows: Mapping[str, Measured]) -> list[Claim]:
    """Return the conditions on the generation recipes as a group: one of them has to fulfill each."""
    claims = []
    autoencoder = rows["vae"].metric(FRECHET) if "vae" in rows else None
    distances = {name: metric for name in ("dcgan", "r3gan") if (metric := _metric(rows, name, FRECHET))}
    if autoencoder and distances:
        best = min(distances, key=lambda name: distances[name].value)
        floor = autoencoder.baseline or 0.0
        claims.append(
            Claim(
                f"dcgan or r3gan well ahead of vae (Fréchet distance above real images' at most {WELL_AHEAD:g} of its)",
                distances[best].high - floor <= WELL_AHEAD * (autoencoder.low - floor),
                f"{best} {interval(distances[best])}, vae {interval(autoencoder)}",
            )
        )
    accuracies = {name: metric for name in GENERATORS if (metric := _metric(rows, name, "label_accuracy"))}
    if accuracies:
        best = max(accuracies, key=lambda name: accuracies[name].value)
        condition = f"samples of the best recognized as asked, at least {RECOGNIZED:g}"
        claims.append(Claim(condition, accuracies[best].low >= RECOGNIZED, f"{best} {interval(accuracies[best])}"))
    return claims


def sentence(claims: list[Claim]) -> str:
    """Whether the bar holds, and by which numbers."""
    if not claims:
        return "No bar was set; the numbers are above."
    failed = [claim for claim in claims if not claim.holds]
    listed = "; ".join(f"{claim.condition}: {claim.numbers}" for claim in failed or claims)
    if failed:
        return f"**The bar does not hold**: {len(failed)} of {len(claims)} conditions not met. {listed}."
    if len(claims) > MOST_LISTED:
        return f"**The bar holds**, all {len(claims)} conditions: each gain is above 0 and each bound is kept."
    return f"**The bar holds.** {listed}."


def interval(metric: Metric) -> str:
    """`41.2 [39.8, 42.9]`; without the interval where it has no width."""
    if metric.low == metric.high:
        return f"{metric.value:.4g}"
    return f"{metric.value:.4g} [{metric.low:.4g}, {metric.high:.4g}]"


def _metric(rows: Mapping[str, Measured], name: str, key: str) -> Metric | None:
    return rows[name].metric(key) if name in rows else None


def _above_zero(metric: Metric) -> Claim:
    return Claim(f"{metric.key} above 0", metric.low > 0, interval(metric))


def _of_generator(measured: Measured, rows: Mapping[str, Measured]) -> dict[str, Claim]:
    claims = {}
    present = measured.metric("classes_present")
    if present:
        claims[present.key] = Claim("all classes present", present.value >= 1, f"{present.value:.0%}")
    own, autoencoder = measured.metric(FRECHET), _metric(rows, "vae", FRECHET)
    if own and autoencoder:
        numbers = f"{interval(own)}, vae {interval(autoencoder)}"
        claims[own.key] = Claim("Fréchet distance below that of the vae", own.high < autoencoder.low, numbers)
    return claims


def _nearer_than_untouched(measured: Measured) -> dict[str, Claim]:
    return {
        metric.key: Claim(
            f"{metric.key} below that of {metric.baseline_name}",
            metric.high < metric.baseline,
            f"{interval(metric)} against {metric.baseline:.4g}",
        )
        for metric in measured.result.metrics
        if metric.name == FRECHET and metric.baseline is not None
    }
