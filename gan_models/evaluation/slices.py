"""The parts of an evaluation, such as labels, styles or degradations, with the worst always first."""

from collections.abc import Iterable, Sequence

from gan_models.evaluation.result import LeftOut, Metric, Slice

LEADING = ("psnr_hole_gain_nearest", "psnr_gain", "psnr")  # what a slice with many metrics is placed by, if it has it
MAX_NAMED = 6  # slices that one line names


def worst_first(metrics: Iterable[Metric]) -> list[Metric]:
    """Return metrics of one name in several slices in order; where neither direction is better, the lowest first."""
    return sorted(metrics, key=lambda metric: -metric.value if metric.higher_is_better is False else metric.value)


def by_slice(metrics: Sequence[Metric]) -> dict[Slice, list[Metric]]:
    """Return the metrics of each slice, the worst slice first by the `leading` one that all of them have."""
    slices: dict[Slice, list[Metric]] = {}
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
    """Return the metric that slices are placed by: the first of `LEADING`, or else of the metrics, that is `shared`."""
    return next(name for name in (*LEADING, *(metric.name for metric in metrics)) if name in shared)


def left_out_lines(left_out: Iterable[LeftOut]) -> list[str]:
    """Return a line for each reason, as "ms_ssim, ms_ssim_y (denoise, inpaint): takes images of 176 pixels or more"."""
    reasons: dict[str, list[LeftOut]] = {}
    for metric in left_out:
        reasons.setdefault(metric.reason, []).append(metric)
    lines = []
    for reason, metrics in reasons.items():
        parts = list(dict.fromkeys(metric.slice.key for metric in metrics if metric.slice))
        more = f" and {len(parts) - MAX_NAMED} more" if len(parts) > MAX_NAMED else ""
        of = f" ({', '.join(parts[:MAX_NAMED])}{more})" if parts else ""
        lines.append(f"{', '.join(dict.fromkeys(metric.name for metric in metrics))}{of}: {reason}")
    return lines
