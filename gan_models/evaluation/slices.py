"""The parts of an evaluation, such as labels, styles or degradations, with the worst always first."""

from collections.abc import Iterable, Sequence

from gan_models.evaluation.result import Metric

LABEL, STYLE, CLASS = "label_", "style_", "class_"
_KINDS = {LABEL: "label", STYLE: "style", CLASS: "class"}
LEADING = ("psnr_hole_gain_nearest", "psnr_gain", "psnr")  # what a slice with many metrics is placed by, if it has it


def kind_of(slice_name: str) -> str:
    """What a slice is one of: a label, a style, a class of pixels, or a "slice" such as a degradation, of any name."""
    return next((kind for prefix, kind in _KINDS.items() if slice_name.startswith(prefix)), "slice")


def member_of(slice_name: str) -> str:
    """The label, style or class that a slice is about; else its name."""
    return next((slice_name.removeprefix(p) for p in _KINDS if slice_name.startswith(p)), slice_name)


def worst_first(metrics: Iterable[Metric]) -> list[Metric]:
    """Metrics of one name in several slices; where neither direction is better, the lowest first."""
    return sorted(metrics, key=lambda metric: -metric.value if metric.higher_is_better is False else metric.value)


def by_slice(metrics: Sequence[Metric]) -> dict[str, list[Metric]]:
    """The metrics of each slice, the worst slice first by the `leading` metric of those that all of them have."""
    slices: dict[str, list[Metric]] = {}
    for metric in metrics:
        if metric.slice:
            slices.setdefault(metric.slice, []).append(metric)
    names = [{metric.name for metric in own} for own in slices.values()]
    shared = set.intersection(*names) if names else set()
    if not shared:
        return slices
    decides = leading(metrics, shared)
    firsts = worst_first(metric for own in slices.values() for metric in own if metric.name == decides)
    return {metric.slice: slices[metric.slice] for metric in firsts if metric.slice}


def leading(metrics: Sequence[Metric], shared: set[str]) -> str:
    """The metric that slices are placed by: the first of `LEADING`, or else of the metrics, that is in `shared`."""
    return next(name for name in (*LEADING, *(metric.name for metric in metrics)) if name in shared)
