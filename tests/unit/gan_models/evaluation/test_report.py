"""The report: what a reviewer meets first, whatever an evaluation holds, and a page that stays small."""

import io
import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_models.evaluation.report import ReportContext, number, render_report
from gan_models.evaluation.result import EvaluationResult, LeftOut, Metric, Picture, Protocol, Slice
from gan_models.evaluation.slices import by_slice, worst_first


def degradation(name: str) -> Slice:
    return Slice(kind="degradation", name=name)


def metric(name: str, value: float, part: Slice | None = None, *, higher: bool | None = True, **facts) -> Metric:
    protocol = Protocol(metric=name, num_images=20, seed=0, split_digest="s", image="32x32x1 resize")
    known = {"low": value - 0.1, "high": value + 0.1, **facts}
    return Metric(
        name=name, slice=part, value=value, num_images=20, higher_is_better=higher, protocol=protocol, **known
    )


def page_of(folder: Path, *metrics: Metric, pictures: tuple[Picture, ...] = (), rows=(), **facts) -> str:
    result = EvaluationResult(
        bundle_digest="b0", task="generate", protocol_id="p0", metrics=metrics, pictures=pictures, **facts
    )
    render_report(ReportContext(title="digits", result=result, directory=folder, metrics_rows=rows), folder / "r.html")
    return (folder / "r.html").read_text()


# Worst first


@pytest.mark.parametrize(
    ("name", "higher", "worst"),
    [("label_accuracy", True, "one"), ("style_distance", False, "three"), ("nearest_training_distance", None, "one")],
)
def test_the_worst_label_comes_first_whichever_way_is_better(tmp_path: Path, name, higher, worst):
    values = {"one": 0.3, "two": 0.6, "three": 0.9}
    page = page_of(tmp_path, *(metric(name, v, Slice(kind="label", name=k), higher=higher) for k, v in values.items()))
    cells = re.findall(r'<td class="title">(\w+)<', page)
    assert cells[0] == worst
    assert "by label, worst first" in page


def test_styles_have_a_table_for_each_of_their_metrics(tmp_path: Path):
    parts = [
        metric(name, 0.5, Slice(kind="style", name=style)) for style in ("night", "day") for name in ("ssim", "psnr")
    ]
    page = page_of(tmp_path, *parts)
    assert "SSIM by style, worst first" in page
    assert "PSNR by style, worst first" in page


def test_degradations_have_an_overview_with_the_worst_first(tmp_path: Path):
    gains = {"mild": 9.0, "strong": 1.0, "middle": 4.0}
    parts = [
        m
        for k, v in gains.items()
        for m in (metric("psnr", 20.0, degradation(k)), metric("psnr_gain", v, degradation(k)))
    ]
    page = page_of(tmp_path, *parts)
    assert "Slices, the worst PSNR gain first" in page
    assert re.findall(r"<tr><td>(\w+)</td>", page) == ["strong", "middle", "mild"]
    assert re.findall(r"<h3>(strong|middle|mild)</h3>", page) == ["strong", "middle", "mild"]


def test_slices_without_a_metric_in_common_keep_their_order():
    slices = by_slice(
        [metric("psnr", 1.0, degradation("a")), metric("ssim", 0.0, degradation("b")), metric("psnr", 3.0)]
    )
    assert list(slices) == [degradation("a"), degradation("b")]


def test_slices_are_ranked_by_their_metric():
    ranked = worst_first([metric("psnr", 2.0, degradation("a")), metric("psnr", 1.0, degradation("b"))])
    assert [m.slice for m in ranked] == [degradation("b"), degradation("a")]


def test_a_degradation_is_no_style_whatever_it_is_called(tmp_path: Path):
    page = page_of(tmp_path, metric("psnr", 20.0, degradation("style_noise")))
    assert "by style" not in page
    assert "<h3>style_noise</h3>" in page


def test_what_was_not_measured_is_told_with_the_reason_and_one_line_a_reason(tmp_path: Path):
    reason = "takes images of 176 pixels a side or more, and these have 64"
    left_out = [
        LeftOut(name=name, slice=degradation(part), reason=reason, smallest=176)
        for part in ("mild", "strong")
        for name in ("ms_ssim", "ms_ssim_y")
    ]
    page = page_of(tmp_path, metric("diversity", 1.0), left_out=tuple(left_out))
    assert page.count(reason) == 1
    assert f"<li>ms_ssim, ms_ssim_y (mild, strong): {reason}</li>" in page


# Numbers


def test_a_number_that_is_none_is_a_dash_and_a_small_one_is_no_zero():
    assert number(math.nan) == "\N{EN DASH}"
    assert number(-0.00042) == "\N{MINUS SIGN}0.00042"
    assert number(12.345, signed=True) == "+12.35"
    assert number(1234.5) == "1,234"


def test_an_interval_that_is_not_known_does_not_break_the_page(tmp_path: Path):
    assert "\N{EN DASH} to \N{EN DASH}" in page_of(tmp_path, metric("diversity", 1.0, low=math.nan, high=math.nan))


def test_notes_are_a_list_that_nobody_has_to_look_for(tmp_path: Path):
    page = page_of(tmp_path, metric("diversity", 1.0), notes=("4 of 90 evaluation images are near copies.",))
    assert "<li>4 of 90 evaluation images are near copies.</li>" in page


# Pictures and curves


def noise(folder: Path, name: str, side: int) -> Picture:
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)).save(content, "PNG")
    (folder / "pictures").mkdir(exist_ok=True)
    (folder / f"pictures/{name}.png").write_bytes(content.getvalue())
    return Picture(file=f"pictures/{name}.png", title=name)


def test_the_page_stays_below_eight_megabytes_and_says_what_it_left_out(tmp_path: Path):
    pictures = tuple(noise(tmp_path, f"picture-{i}", 700) for i in range(5))  # 1.5 MB each
    page = page_of(tmp_path, metric("diversity", 1.0), pictures=pictures)
    assert len(page.encode()) < 8_000_000
    assert page.count("data:image/png") == 3
    assert "Left out to keep this page small: picture-3, picture-4." in page


def test_the_speed_of_training_is_shown_however_many_losses_there_are(tmp_path: Path):
    losses = {f"loss/{name}": 1.0 for name in "abcdefghijkl"}
    rows = [{"step": s, "values": {**losses, "throughput/images_per_second": 90.0 + s}} for s in range(5)]
    page = page_of(tmp_path, metric("diversity", 1.0), rows=rows)
    assert "<h3>images per second</h3>" in page


def test_the_speed_of_drawing_is_told_where_it_was_measured(tmp_path: Path):
    assert "images a second" not in page_of(tmp_path, metric("diversity", 1.0))
    (tmp_path / "throughput.json").write_text('{"images_per_second": 812.0}')
    assert "Draws 812.0 images a second" in page_of(tmp_path, metric("diversity", 1.0))
