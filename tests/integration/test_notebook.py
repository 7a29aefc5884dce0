"""docs/notebook.md: its lines run as they stand, on fewer images and steps."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).parents[2] / "docs" / "notebook.md"
SMALLER = {"size=32": "size=16", "width=32": "width=4", "steps=1000": "steps=40", "num_images=500": "num_images=20"}


def test_the_lines_of_the_page_train_evaluate_and_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    for index in range(80):
        image = random.integers(100, 256, (16, 16, 3)) if index % 2 else random.integers(0, 156, (16, 16, 3))
        folder = tmp_path / "inbox" / ("light" if index % 2 else "dark")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(np.uint8)).save(folder / f"{index}.png")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(lines_of_the_page(), str(PAGE), "exec"), names)
    pictures, result = names["pictures"], names["result"]
    assert [picture.size for picture in pictures] == [(16, 16)] * 10
    assert {"fd_efficientnet_lite0", "diversity", "label_accuracy"} <= {metric.key for metric in result.metrics}
    assert (tmp_path / "work/evaluation/evaluation.json").is_file()


def lines_of_the_page() -> str:
    """Return the page's block of Python, smaller."""
    block: str
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for large, small in SMALLER.items():
        assert block.count(large) == 1
        block = block.replace(large, small)
    return block
