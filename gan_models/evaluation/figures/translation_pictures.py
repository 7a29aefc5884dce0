"""Pictures of what a model that translates made of its inputs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gan_models.evaluation.figures.pictures import NamedPicture, Row, named_picture
from gan_models.evaluation.stats.intervals import Array

COLUMNS = 6


def translation_figures(name: str, rows: Sequence[Row], score: Array, unit: str, below: str) -> list[NamedPicture]:
    """Return inputs and what became of them: evenly spaced examples, and the worst by a score.

    Args:
        name: of the direction; it becomes part of the files' names.
        rows: all images of each row; pictures show those of some columns.
        score: float64 [N], the higher the better, written under each column.
        unit: of the score, after its number.
        below: a sentence that says what the score is.
    """
    num = len(score)
    columns = min(COLUMNS, num)
    spread = np.linspace(0, num - 1, columns).astype(np.int64)
    worst = np.argsort(score, kind="stable")[:columns]

    def figure(file: str, title: str, caption: str, chosen: NDArray[np.int64], *, paired: bool) -> NamedPicture:
        shown = [Row(row.images[chosen], row.name) for row in rows]
        shown[-1] = shown[-1]._replace(texts=[f"{score[i]:.2f}{unit}" for i in chosen])
        return named_picture(file, title, f"{caption} {below}", shown, paired=paired)

    return [
        figure(name, f"{name}: before and after", "Evenly spaced examples, not chosen.", spread, paired=True),
        figure(f"{name}_worst", f"{name}: worst cases", "The lowest scores of all.", worst, paired=False),
    ]
