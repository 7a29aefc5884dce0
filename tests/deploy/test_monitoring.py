"""Alerts and dashboard: each asks for metrics that there are, by labels that these have.

That each alert fires when it should, and only then, is in deploy/prometheus/alerts_test.yml, for `promtool test rules`.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from flows.monitoring.exporter import SCRAPE_SECONDS
from flows.monitoring.gauges import GAUGES

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
PANELS = json.loads((DEPLOY / "grafana/dashboard.json").read_text())["panels"]
SCENARIOS = yaml.safe_load((DEPLOY / "prometheus/alerts_test.yml").read_text())["tests"]
QUESTIONS: dict[str, tuple[str, list[str]]] = {
    **{rule["alert"]: (rule["expr"], re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) for rule in RULES},
    **{panel["title"]: (target["expr"], re.findall(r"{{(\w+)}}", target["legendFormat"]))
       for panel in PANELS for target in panel["targets"]},
}  # fmt: skip


def asked_for(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric of ours in an expression, with the labels that it is selected by."""
    for name, selected in re.findall(r"\b(atelier_\w+)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*[=!]", selected))


@pytest.mark.parametrize("title", QUESTIONS)
def test_what_is_asked_for_is_a_metric_with_these_labels(title: str):
    expression, shown = QUESTIONS[title]
    known: set[str] = {"job"} if "up{job=" in expression else set()
    for name, labels in asked_for(expression):
        assert labels <= set(GAUGES[name].labels)
        known |= set(GAUGES[name].labels)
    grouped = {label for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression) for label in group.split(", ")}
    assert grouped <= known
    kept = re.match(r"(?:max|sum) by \(([^)]*)\)", expression)
    assert set(shown) <= (set(kept[1].split(", ")) if kept else known), "a person reads the value of each"


def test_every_metric_is_on_the_dashboard_or_in_an_alert():
    assert {name for expression, _ in QUESTIONS.values() for name, _ in asked_for(expression)} == set(GAUGES)


def test_every_alert_has_a_scenario_in_which_it_fires_and_one_in_which_it_does_not():
    fires: set[str] = set()
    silent: set[str] = set()
    for scenario in SCENARIOS:
        for one in scenario["alert_rule_test"]:
            (fires if one.get("exp_alerts") else silent).add(one["alertname"])
        for series in scenario["input_series"]:
            for name, labels in asked_for(series["series"]):
                assert labels == set(GAUGES[name].labels)
    assert fires == silent == {rule["alert"] for rule in RULES}


def test_prometheus_waits_longer_than_the_exporter_waits_for_its_servers():
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    assert float(config["global"]["scrape_timeout"].removesuffix("s")) > SCRAPE_SECONDS
