"""The two sides of a dataset's pairs, aligned: what stands at one place of both shows the same thing."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from gan_models.config import ImageConfig
from gan_models.data.shards import DataError
from gan_models.data.split_index import Listing, list_split


def list_pairs(
    directory: Path,
    split: str,
    image: ImageConfig,
    domains: tuple[str, str],
    *,
    limit: int | None = None,
    are_masks: bool = False,
) -> tuple[Listing, Listing]:
    """List both sides of the pairs of a split: the first sorted by id, the second in the order of its partners.

    The digest of the second is that of its order, and so of who belongs to whom.

    Args:
        domains: of the two sides.
        limit: so many of the first pairs at most.
        are_masks: whether the second side says in each pixel what the first one shows.

    Raises:
        DataError: see `list_split`; or an image of either side has no partner, or several, or one of another size.
    """
    first = list_split(directory, split, image, domains[0])
    second = list_split(directory, split, image, domains[1], are_masks=are_masks)
    names = f"'{domains[0]}' and '{domains[1]}' in {directory}"
    example = f"`sources: [{{path: inbox/maps, pairs: {{{domains[0]}: A, {domains[1]}: B}}}}]`"
    if all(side.rows["pair"].null_count == len(side) for side in (first, second)):
        raise DataError(
            f"the images of {names} are no pairs; take them from one source with a folder for each side, as in "
            f"{example}, or use cyclegan or cut, which need none"
        )
    _refuse_lonely(first, second, domains[0], directory)
    _refuse_lonely(second, first, domains[1], directory)
    if first.shape[1:] != second.shape[1:]:
        sizes = " and ".join(f"{width}x{height}" for _, height, width in (first.shape, second.shape))
        raise DataError(
            f"the images of {names} are {sizes}, and `fit: crop` takes the same windows of both; make the two sides of "
            "each pair equal in size, or use `fit: cover`"
        )
    partners = pc.index_in(first.rows["pair"], value_set=second.rows["pair"]).to_numpy()[:limit]
    return first.part(np.arange(len(partners))), second.part(partners)


def _refuse_lonely(one: Listing, other: Listing, domain: str, directory: Path) -> None:
    """Raise a DataError unless every image of `one`, of a domain, has exactly one partner in `other`."""
    own = one.rows["pair"]
    has_partner = pc.and_(*(pc.is_in(own, value_set=_singles(side.rows["pair"])) for side in (one, other))).to_numpy()
    lonely = np.flatnonzero(~has_partner)
    if len(lonely):
        first = int(lonely[0])
        raise DataError(
            f"{len(lonely)} of {len(one)} images of '{domain}' in {directory} have no partner of their own, such as "
            f"{one.rows['id'][first].as_py()[:12]} of {one.source_of(first)}; bring the other side in as well, or take "
            "them out with `atelier dataset remove --id`"
        )


def _singles(values: Any) -> Any:  # noqa: ANN401
    """Return those of an Arrow column's values that it has once."""
    counted = pc.value_counts(values.combine_chunks().drop_null())
    return counted.field("values").filter(pc.equal(counted.field("counts"), 1))
