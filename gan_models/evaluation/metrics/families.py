"""Metrics that are measured in a network's features, so that their names say which network.

`fid`, `kid` and `inception_score` are those of the original Inception weights and of nothing else.
"""

from gan_models.evaluation.metrics.metric_kind import MetricKind

FEATURE_DISTANCE = "feature distance"

_OWN_NAMES = {"fd": "fid", "kd": "kid", "is": "inception_score"}

_FAMILIES: tuple[tuple[str, str, str, bool, str], ...] = (
    ("fd", "Fréchet distance", "", False, "Distance between the distributions of outputs and of real images. Not FID."),
    ("kd", "Kernel distance", "", False, "Squared MMD of a cubic kernel; unbiased at any number of images. Not KID."),
    ("precision", "Precision", "share", True, "Share of outputs near a real image (k = 3): are they realistic?"),
    ("recall", "Recall", "share", True, "Share of real images near an output (k = 3): is their variety there?"),
    ("density", "Density", "", True, "Real neighborhoods an output is in (k = 5), about 1 for real images."),
    ("coverage", "Coverage", "share", True, "Share of real neighborhoods (k = 5) with an output in them."),
    ("is", "Score of the classifier", "", True, "exp of the mean KL of each image's classes to all. Not Inception's."),
)

ORIGINALS = (
    MetricKind("fid", "FID", "", False, "Fréchet distance in the features of the original Inception weights."),
    MetricKind("kid", "KID", "", False, "Kernel distance in the features of the original Inception weights."),
    MetricKind(
        "inception_score",
        "Inception score",
        "",
        True,
        "How sure the original Inception network is of each image, and how different they are to it; without splits.",
    ),
)


def metric_name(family: str, extractor: str) -> str:
    """Return the name of a metric of a family in the features of an extractor, which is its `key`."""
    return f"{family}_{extractor}" if extractor else _OWN_NAMES.get(family, f"{family}_inception")


def family_kinds(extractor: str, title: str) -> tuple[MetricKind, ...]:
    """Return the metrics in the features of `extractor`, as in `fd_<extractor>`; `title` is its name for people."""
    return tuple(
        MetricKind(f"{family}_{extractor}", f"{name} ({title})", unit, higher, description)
        for family, name, unit, higher, description in _FAMILIES
    )


def family_kind(name: str) -> MetricKind:
    """Return the kind of a metric in features that only its name tells of, such as `kd_timm_resnet18`.

    Raises:
        KeyError: it belongs to no family.
    """
    extractor = name.partition("_")[2]
    kinds = {kind.name: kind for kind in family_kinds(extractor, extractor)}
    if not extractor or name not in kinds:
        raise KeyError(name)
    return kinds[name]
