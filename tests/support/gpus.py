"""A machine with GPUs as far as nvidia-smi tells: no machine of the tests has any."""

import os
from pathlib import Path

import pytest


def pretend_gpus(folder: Path, monkeypatch: pytest.MonkeyPatch, *uuids: str) -> Path:
    """Let `nvidia-smi` list these; return the folder that locks on them are kept in."""
    command = folder / "driver" / "nvidia-smi"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\n" + "".join(f"echo {uuid}\n" for uuid in uuids))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    locks = folder / "gpu-locks"
    monkeypatch.setenv("ATELIER_GPU_LOCKS", str(locks))
    return locks
