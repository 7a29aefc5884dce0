"""The two sides of a dataset's pairs, aligned: what stands at one place of both shows the same thing."""

from collections import Counter
from pathlib import Path

from gan_models.config import ImageConfig
from gan_models.data.shards import DataError
from gan_models.data.split_index import Listing, list_split


def list_pairs(
    directory: Path, split: str, image: ImageConfig, domains: tuple[str, str], *, limit: int | None = None
) -> tuple[Listing, Listing]:
    """Both sides of the pairs of a split, or of only so many of the first: the first side sorted by id, the second in
    the order of its partners. The digest of the second is that of its order, and so of who belongs to whom.

    Args:
        domains: of the two sides.

    Raises:
        DataError: see `list_split`; or an image of either side has no partner, or several, or one of another size.
    """
    first, second = (list_split(directory, split, image, domain) for domain in domains)
    names = f"'{domains[0]}' and '{domains[1]}' in {directory}"
    example = f"`sources: [{{path: inbox/maps, pairs: {{{domains[0]}: A, {domains[1]}: B}}}}]`"
    if not any(row["pair"] for side in (first, second) for row in side.rows.values()):
        raise DataError(
            f"the images of {names} are no pairs; take them from one source with a folder for each side, as in "
            f"{example}, or use cyclegan or cut, which need none"
        )
    _refuse_lonely(first, second, directory)
    _refuse_lonely(second, first, directory)
    if first.shape != second.shape:
        sizes = " and ".join(f"{width}x{height}" for _, height, width in (first.shape, second.shape))
        raise DataError(
            f"the images of {names} are {sizes}, and `fit: crop` takes the same windows of both; make the two sides of "
            "each pair equal in size, or use `fit: resize`"
        )
    position = {row["pair"]: number for number, row in enumerate(second.rows.values())}
    partners = [position[row["pair"]] for row in first.rows.values()][:limit]
    return first.part(list(range(len(partners)))), second.part(partners)


def _refuse_lonely(one: Listing, other: Listing, directory: Path) -> None:
    """Every image of `one` has exactly one partner in `other`."""
    own, theirs = (Counter(row["pair"] for row in side.rows.values()) for side in (one, other))
    lonely = [row for row in one.rows.values() if not row["pair"] or (own[row["pair"]], theirs[row["pair"]]) != (1, 1)]
    if lonely:
        first = lonely[0]
        raise DataError(
            f"{len(lonely)} of {len(one.rows)} images of '{first['domain']}' in {directory} have no partner of their "
            f"own, such as {first['id'][:12]} of {first['source']}; bring the other side in as well, or take them out "
            "with `atelier dataset remove --id`"
        )
