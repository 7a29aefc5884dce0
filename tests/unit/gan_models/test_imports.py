"""What the platform imports in every process of its own has to be there in milliseconds."""

import subprocess
import sys
from pathlib import Path

import pytest

import gan_models

ROOT = Path(gan_models.__file__).parents[1]


def modules_of(room: str) -> list[str]:
    """Names of all modules in a room of `gan_models`."""
    files = (ROOT / "gan_models" / room).rglob("*.py")
    return [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]


@pytest.mark.parametrize(
    "modules",
    [
        modules_of("ingest"),
        modules_of("config"),
        ["gan_models.data.shards", "gan_models.data.shard_writer", "gan_models.data.split_index"],
    ],
    ids=["ingest", "config", "data"],
)
def test_looking_at_images_and_reading_configs_imports_no_pytorch(modules: list[str]) -> None:
    assert modules
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
