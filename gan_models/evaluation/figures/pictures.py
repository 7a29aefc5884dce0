"""The pictures of an evaluation, as small PNG files that explain themselves."""

import io
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan_models.evaluation.result import PICTURES, Picture
from gan_models.evaluation.stats.intervals import Array

MAX_BYTES = 400_000
MAX_CELL = 128  # pixels; larger images are scaled down
MIN_CELL = 96  # smaller ones are enlarged, pixel by pixel
GAP = 4
TEXT_HEIGHT = 18
INK = (128, 128, 128, 255)  # read on white as on black: the background is transparent


class NamedPicture(NamedTuple):
    """What is said of a picture, and its PNG bytes."""

    picture: Picture
    content: bytes


class Row(NamedTuple):
    """One row of a picture: uint8 [N, C, H, W], its name, and a text under each image. `gap`: more space above it."""

    images: Tensor
    name: str = ""
    texts: Sequence[str] = ()
    gap: int = 0


def samples_figure(
    samples: Tensor,
    asked: NDArray[np.int64] | None,
    real: Tensor,
    real_labels: NDArray[np.int64] | None,
    label_names: tuple[str, ...],
) -> NamedPicture:
    """Return a column per label, a real image on top and samples below; without labels, ten columns."""
    if asked is None or real_labels is None:
        columns = min(10, len(samples), len(real))
        rows = [Row(real[:columns], "real")]
        rows += [
            Row(samples[i * columns : (i + 1) * columns], "drawn" if i == 0 else "", gap=8 if i == 0 else 0)
            for i in range(min(6, len(samples) // columns))
        ]
        caption = "Top row: real evaluation images. Below: drawn by the model, the first ones, not chosen."
        return named_picture("samples", "Samples", caption, rows, paired=True)
    labels = [label for label in np.unique(asked) if (real_labels == label).any()][:16]
    of_label = [np.flatnonzero(asked == label) for label in labels]
    depth = min(7, *(len(indices) for indices in of_label))
    first_real = [np.flatnonzero(real_labels == label)[0] for label in labels]
    rows = [Row(real[first_real], "real")]
    for i in range(depth):
        picked = [indices[i] for indices in of_label]
        rows.append(Row(samples[picked], "drawn" if i == 0 else "", gap=8 if i == 0 else 0))
    caption = "One column per label. Top row: real evaluation images. Below: drawn by the model, not chosen."
    return named_picture("samples", "Samples", caption, rows, [label_names[label] for label in labels], paired=True)


def nearest_training_figure(
    samples: Tensor, training: Tensor, distance: Array, index: NDArray[np.int64], columns: int = 10
) -> NamedPicture:
    """Return the samples that are nearest to a training image, above that image."""
    closest = np.argsort(distance, kind="stable")[:columns]
    rows = [
        Row(samples[closest], "drawn"),
        Row(training[index[closest]], "training", [f"{distance[i]:.1f}" for i in closest]),
    ]
    caption = "The samples nearest to a training image, with it and the distance in features. Equal pairs: memorized."
    return named_picture("nearest_training", "Nearest training images", caption, rows)


def restoration_figures(
    name: str, degraded: Tensor, restored: Tensor, originals: Tensor, gain: Array
) -> list[NamedPicture]:
    """Return degraded, restored and original: evenly spaced examples, then the worst and the best by gain, dB [N]."""
    columns = min(6, len(originals))
    order = np.argsort(gain, kind="stable")
    spread = np.linspace(0, len(originals) - 1, columns).astype(np.int64)

    def figure(file: str, title: str, caption: str, chosen: NDArray[np.int64], *, paired: bool) -> NamedPicture:
        rows = [
            Row(degraded[chosen], "degraded"),
            Row(restored[chosen], "restored"),
            Row(originals[chosen], "original", [f"{gain[i]:+.1f} dB" for i in chosen]),
        ]
        return named_picture(file, title, caption, rows, paired=paired)

    over = "Below each: the gain in PSNR over the degraded input, in holes over the nearest known pixel."
    return [
        figure(name, f"{name}: before and after", f"Evenly spaced examples, not chosen. {over}", spread, paired=True),
        figure(
            f"{name}_worst", f"{name}: worst cases", f"The least gain of all. {over}", order[:columns], paired=False
        ),
        figure(
            f"{name}_best",
            f"{name}: best cases",
            f"The most gain of all. {over}",
            order[::-1][:columns].copy(),
            paired=False,
        ),
    ]


def named_picture(
    file: str, title: str, caption: str, rows: list[Row], columns: Sequence[str] = (), *, paired: bool = False
) -> NamedPicture:
    """Return rows of images as a PNG, under a name that is safe as a file's. `columns`: a text above each column."""
    file = re.sub(r"[^A-Za-z0-9_-]", "_", file)  # part of it is a name out of a config
    picture = Picture(file=f"{PICTURES}/{file}.png", title=title, caption=caption, paired=paired)
    return NamedPicture(picture, _png(_compose(rows, columns)))


def _compose(rows: list[Row], columns: Sequence[str]) -> Image.Image:
    """Return the rows as one picture with captions."""
    side = rows[0].images.shape[-1]
    cell = min(side * max(1, round(MIN_CELL / side)), MAX_CELL) if side < MAX_CELL else MAX_CELL
    font = ImageFont.load_default(13)
    left = max(int(font.getlength(row.name)) for row in rows)
    left = left + 10 if left else 0
    top = TEXT_HEIGHT if columns else 0
    heights = [row.gap + cell + (TEXT_HEIGHT if row.texts else 0) + GAP for row in rows]
    width = left + max(len(row.images) for row in rows) * (cell + GAP)
    canvas = Image.new("RGBA", (width, top + sum(heights)), (0, 0, 0, 0))
    pen = ImageDraw.Draw(canvas)
    for i, text in enumerate(columns):
        pen.text((left + i * (cell + GAP) + cell / 2, top / 2), _fit(text, cell, font), INK, font, "mm")
    y = top
    for row, height in zip(rows, heights, strict=True):
        y += row.gap
        pen.text((left - 8, y + cell / 2), row.name, INK, font, "rm")
        for i, image in enumerate(row.images):
            x = left + i * (cell + GAP)
            canvas.paste(_cell(image, cell), (x, y))
            if row.texts:
                pen.text((x + cell / 2, y + cell + TEXT_HEIGHT / 2), row.texts[i], INK, font, "mm")
        y += height - row.gap
    return canvas


def _cell(image: Tensor, cell: int) -> Image.Image:
    pixels = image.permute(1, 2, 0).numpy()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    resample = Image.Resampling.NEAREST if cell >= picture.width else Image.Resampling.LANCZOS
    return picture.resize((cell, cell), resample).convert("RGBA")


def _fit(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    while len(text) > 1 and font.getlength(text) > width:
        text = text[:-2] + "…"
    return text


def _png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG")
    if content.tell() > MAX_BYTES:
        content = io.BytesIO()
        picture.quantize(256).save(content, "PNG")
    return content.getvalue()
