"""What a dataset knows of an image: the one declaration from which its schema, indexes and digests derive."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple, get_type_hints


class Column(NamedTuple):
    """How a field of `ImageRow` is stored.

    dtype: its type, by the name that Arrow and Hugging Face have for it
    is_content: whether it is part of the dataset's content digest: it decides what a model learns, or from where
    """

    dtype: str
    is_content: bool = False


Content = Column("string", is_content=True)


@dataclass(frozen=True)
class ImageRow:
    """One image of a dataset. Every field with a `Column` is one of the shards' columns, in this order.

    data: the image file
    path: its name, relative to the dataset
    id: SHA-256 of its pixels; of a mask that of them and of its partner's id
    source: where it was taken from
    pair: of an image that shows what another one shows in another domain, the id of the first of the two
    phash: the perceptual hash, by which near duplicates are found; None for an image of one color
    look: brightness, colors and shapes in 14 bytes, by which versions are compared
    """

    data: bytes
    path: str
    id: Annotated[str, Content]
    split: Annotated[str, Content]
    label: Annotated[str | None, Content]
    domain: Annotated[str | None, Content]
    width: Annotated[int, Column("int32")]
    height: Annotated[int, Column("int32")]
    source: Annotated[str, Content]
    pair: Annotated[str | None, Content] = None
    phash: Annotated[str | None, Column("string")] = None
    look: Annotated[bytes | None, Column("binary")] = None


COLUMNS: dict[str, Column] = {
    name: fact
    for name, hint in get_type_hints(ImageRow, include_extras=True).items()
    for fact in getattr(hint, "__metadata__", ())
}
CONTENT_COLUMNS = tuple(name for name, column in COLUMNS.items() if column.is_content)
