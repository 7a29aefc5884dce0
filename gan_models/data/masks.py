"""Masks of a dataset against the classes that a config names, before anything is learned from them."""

import torch
from torch import Tensor

from gan_models.config import MaskClasses
from gan_models.data.shards import DataError

CHUNK = 256  # masks that are counted at a time
MOST_NAMED = 10  # values in an error message


def count_values(masks: Tensor) -> Tensor:
    """Return how many pixels have each value, int64 [256], of masks uint8 [N, 1, H, W]."""
    counts = torch.zeros(256, dtype=torch.int64)
    for some in masks.split(CHUNK):  # type: ignore[no-untyped-call]
        counts += torch.bincount(some.flatten(), minlength=256)
    return counts


def refuse_unknown_values(counts: Tensor, classes: MaskClasses, where: str) -> None:
    """Refuse masks with values that the config does not name.

    Args:
        counts: of pixels by value, int64 [256].
        classes: of the config.
        where: the masks are, for the message.

    Raises:
        DataError: some pixels have another value; the message names these values and counts their pixels.
    """
    values = [*classes.values, *([] if classes.ignore is None else [classes.ignore])]
    unknown = counts.clone()
    unknown[values] = 0
    if unknown.any():
        found = ", ".join(f"{value} ({int(counts[value]):,})" for value in values if counts[value]) or "none of these"
        raise DataError(
            f"{where} have pixels of values that are no class: {_listed(unknown)}; named by the config and found: "
            f"{found}. Name the others in `train.recipe.classes`, or one of them as `train.recipe.ignore`. Values that "
            "nobody drew come of a lossy format such as JPEG, or of scaling: then make the masks again"
        )


def refuse_unseen_classes(counts: Tensor, classes: MaskClasses, where: str) -> None:
    """Refuse to train for classes that no mask has. The arguments are those of `refuse_unknown_values`.

    Raises:
        DataError: a class has no pixel.
    """
    unseen = [
        f"{name} ({value})" for value, name in zip(classes.values, classes.names, strict=True) if not counts[value]
    ]
    if unseen:
        raise DataError(
            f"{where} have no pixel of the class{'es' if unseen[1:] else ''} {', '.join(unseen)}: a model cannot learn "
            "what it never sees; add masks that have some, or take it out of `train.recipe.classes`"
        )


def _listed(counts: Tensor) -> str:
    """Return the values that have pixels, and how many, the most frequent first."""
    order = counts.argsort(descending=True, stable=True).tolist()
    values = [value for value in order if counts[value]]
    more = f" and {len(values) - MOST_NAMED} more" if len(values) > MOST_NAMED else ""
    return ", ".join(f"{value} ({int(counts[value]):,} pixels)" for value in values[:MOST_NAMED]) + more
