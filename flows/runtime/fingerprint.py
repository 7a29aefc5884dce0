"""What decides whether a stage has anything new to do.

The fingerprint of a stage is the SHA-256 of everything that can change its result. It is a tag on the stage's MLflow
run; a finished run with the same fingerprint means that the work is done.
"""

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import gan_models

# What a trained model depends on; evaluation code may change without training anything again.
TRAINING_SOURCES = ("config", "data", "images", "networks", "losses", "recipes", "bundles", "training")
EVALUATION_SOURCES = ("config", "data", "images", "networks", "losses", "recipes", "bundles", "inference", "evaluation")
EXAMINING_SOURCES = tuple(f"ingest/{name}.py" for name in ("decoding", "image_stats", "perceptual_hash", "file_check"))
IMAGE_SOURCES = (*EXAMINING_SOURCES, "data/shards.py")


def digest_of(**parts: Any) -> str:  # noqa: ANN401
    """SHA-256 of named parts: config sections, digests, numbers; 64 hexadecimal characters."""
    plain = {
        name: part.model_dump(mode="json") if isinstance(part, BaseModel) else part for name, part in parts.items()
    }
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


@functools.cache
def source_digest(*parts: str) -> str:
    """SHA-256 of the Python files of `gan_models` in `parts`: files or folders relative to the package."""
    package = Path(gan_models.__file__).parent
    digest = hashlib.sha256()
    for part in parts:
        path = package / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.relative_to(package).as_posix()}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


@functools.cache
def torch_version() -> str:
    """PyTorch's version with its CUDA version, read from its files: importing it would take seconds."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("PyTorch is not installed; run `make install`")
    text = (Path(spec.origin).parent / "version.py").read_text()
    cuda = re.search(r"^cuda\b[^=]*=\s*'([^']*)'", text, re.MULTILINE)
    return f"{importlib.metadata.version('torch')}+cuda{cuda.group(1) if cuda else 'none'}"
