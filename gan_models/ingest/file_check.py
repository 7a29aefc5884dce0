"""What becomes of one file: the images that are stored of it and what is known of them, or why it is not used."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from gan_models.ingest.decoding import DecodingLimits, decode, decode_mask, encode_png, image_id
from gan_models.ingest.image_stats import image_stats
from gan_models.ingest.perceptual_hash import perceptual_hash


@dataclass(frozen=True)
class Demands:
    """What is asked of every file.

    limits: of its size and of what decoding may take
    tile: side in pixels of the square tiles it is cut into, None for none
    max_tiles: of one file
    """

    limits: DecodingLimits
    tile: int | None = None
    max_tiles: int = 40


@dataclass(frozen=True)
class Piece:
    """One image to be stored: a file's, or a tile of it.

    data: a PNG
    id: SHA-256 of the pixels
    width, height: in pixels
    phash: the perceptual hash, None for an image of one color and for a mask
    stats: brightness, contrast, colors and shapes, as `ImageStats.pack` writes them
    corner: left and top of a tile within its image
    """

    data: bytes
    id: str
    width: int
    height: int
    phash: str | None
    stats: bytes
    corner: tuple[int, int] | None = None


@dataclass(frozen=True)
class Examined:
    """What became of one file.

    id: SHA-256 of its pixels
    pieces: what is stored of it
    reason: why it is not used; then `rejected` are its bytes, and there are no pieces
    """

    id: str = ""
    pieces: tuple[Piece, ...] = ()
    reason: str = ""
    rejected: bytes = b""


def examine(
    data: bytes, demands: Demands, before_loading: Callable[[int], None] | None = None, *, is_mask: bool = False
) -> Examined:
    """Decode a file, cut it where tiles are wanted, and describe what comes of it.

    Args:
        data: the file.
        demands: what is asked of it.
        before_loading: see `decode`.
        is_mask: whether it says in each pixel what is there, so that its values are kept as they are. A mask has no
            perceptual hash: masks that are alike say nothing of the photographs that they belong to.

    Raises:
        UnreadableImageError: it is not used.
    """
    image = (decode_mask if is_mask else decode)(data, limits=demands.limits, before_loading=before_loading)
    key = image_id(image)
    if demands.tile is None:
        return Examined(key, (_piece(image, key, None, is_mask),))
    tiles = []
    for left, top in _tile_grid(image, demands.tile, demands.max_tiles):
        tile = image.crop((left, top, left + demands.tile, top + demands.tile))
        tiles.append(_piece(tile, image_id(tile), (left, top), is_mask))
    return Examined(key, tuple(tiles))


def _piece(image: Image.Image, key: str, corner: tuple[int, int] | None, is_mask: bool) -> Piece:
    phash = None if is_mask else perceptual_hash(image)
    return Piece(encode_png(image), key, image.width, image.height, phash, image_stats(image).pack(), corner)


def _tile_grid(image: Image.Image, tile: int, most: int) -> list[tuple[int, int]]:
    """Return left and top of the tiles of a centered grid; of more than `most`, an evenly spread choice."""
    columns, rows = image.width // tile, image.height // tile
    left, top = (image.width - columns * tile) // 2, (image.height - rows * tile) // 2
    grid = [(left + column * tile, top + row * tile) for row in range(rows) for column in range(columns)]
    if len(grid) <= most:
        return grid
    return [grid[(2 * i + 1) * len(grid) // (2 * most)] for i in range(most)]
