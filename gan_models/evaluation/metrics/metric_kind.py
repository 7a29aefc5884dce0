"""What is said of a metric wherever it is shown."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MetricKind:
    """`higher_is_better` is None where neither direction is better on its own."""

    name: str
    title: str
    unit: str
    higher_is_better: bool | None
    description: str
