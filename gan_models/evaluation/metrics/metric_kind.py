"""What is said of a metric wherever it is shown."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MetricKind:
    """`higher_is_better` is None where neither direction is better on its own.

    min_side: pixels a side of the smallest images that it takes
    min_images: how many of them it takes at least, where that is more than any metric does
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool | None
    description: str
    min_side: int = 1
    min_images: int | None = None
