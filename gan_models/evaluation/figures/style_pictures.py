"""The pictures of an evaluation of styles."""

import io
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan_models.evaluation.figures.pictures import INK, NamedPicture, Row, named_picture
from gan_models.evaluation.result import PICTURES, Picture
from gan_models.evaluation.stats.intervals import Array

ROWS = 6
ALPHA_ROWS = 5
CELL = 96, 28  # pixels of a cell of the matrix
LEFT = 220  # pixels for the names of its rows
NEAREST = (46, 160, 67, 90)


def styles_figure(photographs: Tensor, painted: Sequence[Tensor], crops: Tensor, names: Sequence[str]) -> NamedPicture:
    """Return photographs by styles. `painted`: per style uint8 [N, C, S, S]; `crops`: one of each style's paintings."""
    chosen = _spread(len(photographs), ROWS)
    empty = torch.full_like(photographs[:1], 128)
    rows = [Row(torch.cat([empty, crops]), "paintings")]
    rows += [
        Row(torch.stack([photographs[i], *(x[i] for x in painted)]), gap=8 if i == chosen[0] else 0) for i in chosen
    ]
    caption = (
        "Top row: of each style the crop of its paintings that is nearest to their mean. Below: evaluation "
        "photographs, evenly spaced, not chosen, and what each style makes of them."
    )
    return named_picture("styles", "Photographs in every style", caption, rows, ["photograph", *names], paired=True)


def alphas_figure(painted: Sequence[Sequence[Tensor]], alphas: Sequence[float], names: Sequence[str]) -> NamedPicture:
    """Return a row per style. `painted`: per style and alpha, uint8 [N, C, S, S]."""
    chosen = _spread(len(painted[0][0]), min(ALPHA_ROWS, len(painted)))
    rows = [
        Row(torch.stack([x[i] for x in of_style]), name)
        for of_style, name, i in zip(painted, names, chosen, strict=False)
    ]
    columns = [f"alpha {alpha:g}" for alpha in alphas]
    caption = "A photograph a row, in one style from nothing to all of it. With alpha 0 it comes back as it was."
    return named_picture("alpha", "How much of a style", caption, rows, columns, paired=True)


def unseen_style_figure(photographs: Tensor, painted: Tensor, example: Tensor) -> NamedPicture:
    """Return photographs in the style of a picture that no training saw, with windows of it, uint8 [M, C, S, S]."""
    chosen, parts = _spread(len(photographs), ROWS), _spread(len(example), ROWS)
    rows = [
        Row(example[parts], "unseen style"),
        Row(photographs[chosen], "photographs", gap=8),
        Row(painted[chosen], "painted"),
    ]
    caption = (
        "Crops of a painting that the model has never seen, and evaluation photographs, evenly spaced, in its style."
    )
    return named_picture("unseen", "An unseen style", caption, rows, paired=True)


def matrix_figure(matrix: Array, before: Array, names: Sequence[str]) -> NamedPicture:
    """Return mean distances as a table: a row per style asked for, a column per painting, the nearest marked.

    Args:
        matrix: float64 [K, K].
        before: float64 [K], of the untouched photographs.
        names: of the K styles.
    """
    width, height = CELL
    font = ImageFont.load_default(13)
    canvas = Image.new("RGBA", (LEFT + width * len(names), height * (len(names) + 2)), (0, 0, 0, 0))
    pen = ImageDraw.Draw(canvas)
    for row, (label, values) in enumerate(
        [("", None), ("untouched photographs", before), *zip(names, matrix, strict=True)]
    ):
        y = height * row + height / 2
        pen.text((LEFT - 10, y), label, INK, font, "rm")
        for column, name in enumerate(names):
            x = LEFT + width * column
            if values is None:
                pen.text((x + width / 2, y), name if font.getlength(name) < width else f"{name[:11]}…", INK, font, "mm")
                continue
            if row > 1 and column == int(values.argmin()):
                pen.rectangle((x + 2, y - height / 2 + 2, x + width - 3, y + height / 2 - 3), NEAREST)
            pen.text((x + width / 2, y), f"{values[column]:.2f}", INK, font, "mm")
    content = io.BytesIO()
    canvas.save(content, "PNG")
    caption = (
        "Mean style distance of photographs painted in the style of a row to the paintings of a column; "
        "marked is the nearest of each row, which should be on the diagonal."
    )
    return NamedPicture(
        Picture(file=f"{PICTURES}/matrix.png", title="Style distances", caption=caption), content.getvalue()
    )


def _spread(length: int, num: int) -> list[int]:
    return [int(i) for i in np.linspace(0, length - 1, min(length, num))]
