"""The picture of a row: those of its evaluation, one below the other, as one small JPEG."""

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from gan_models.evaluation.result import EvaluationResult

MAX_WIDTH = 900  # pixels
MAX_HEIGHT = 1400
TITLE_HEIGHT = 26
NOT_SHOWN = ("_worst", "_best", "nearest_training")  # for reviewers; the sheet shows what was not chosen
QUALITIES = (88, 80, 70, 60, 50, 40)


def draw_sheet(result: EvaluationResult, folder: Path, max_bytes: int) -> bytes:
    """Return the pictures of an evaluation on white, with their titles, as a JPEG of at most `max_bytes`."""
    shown = [picture for picture in result.pictures if not Path(picture.file).stem.endswith(NOT_SHOWN)]
    parts = [(picture.title, _on_white(folder / picture.file)) for picture in shown or result.pictures]
    kept: list[tuple[str, Image.Image]] = []
    height = 0
    for title, picture in parts:
        if kept and height + picture.height + TITLE_HEIGHT > MAX_HEIGHT:
            break
        kept.append((title, picture))
        height += picture.height + TITLE_HEIGHT
    sheet = Image.new("RGB", (max(picture.width for _, picture in kept), height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    y = 0
    for title, picture in kept:
        pen.text((4, y + TITLE_HEIGHT / 2), title, "black", font, "lm")
        sheet.paste(picture, (0, y + TITLE_HEIGHT))
        y += TITLE_HEIGHT + picture.height
    return _small_jpeg(sheet, max_bytes)


def _on_white(file: Path) -> Image.Image:
    with Image.open(file) as stored:
        picture = stored.convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    if flat.width <= MAX_WIDTH:
        return flat
    return flat.resize((MAX_WIDTH, round(flat.height * MAX_WIDTH / flat.width)), Image.Resampling.LANCZOS)


def _small_jpeg(sheet: Image.Image, max_bytes: int) -> bytes:
    while True:
        for quality in QUALITIES:
            content = io.BytesIO()
            sheet.save(content, "JPEG", quality=quality, optimize=True)
            if content.tell() <= max_bytes:
                return content.getvalue()
        sheet = sheet.resize((sheet.width * 4 // 5, sheet.height * 4 // 5), Image.Resampling.LANCZOS)
