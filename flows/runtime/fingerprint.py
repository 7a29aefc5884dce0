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

from flows.runtime.errors import StageError


def digest_of(**parts: Any) -> str:  # noqa: ANN401
    """Return the SHA-256 of named parts: config sections, digests, numbers; 64 hexadecimal characters."""
    plain = {
        name: part.model_dump(mode="json") if isinstance(part, BaseModel) else part for name, part in parts.items()
    }
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


@functools.cache
def torch_version() -> str:
    """Return PyTorch's version with its CUDA version, read from its files: importing it would take seconds.

    Raises:
        StageError: it is not installed.
    """
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise StageError("PyTorch is not installed; run `make install`")
    text = (Path(spec.origin).parent / "version.py").read_text()
    cuda = re.search(r"^cuda\b[^=]*=\s*'([^']*)'", text, re.MULTILINE)
    return f"{importlib.metadata.version('torch')}+cuda{cuda.group(1) if cuda else 'none'}"
