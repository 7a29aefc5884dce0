"""Served models as MLflow loads and asks them, without its server."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.pyfunc.model import PythonModelContext
from PIL import Image

from flows.tracking.served_model import Request, ServedModel

NO_CONTEXT = PythonModelContext({}, {})


def served_model(bundle: Path) -> ServedModel:
    """Load the model of a bundle's folder."""
    model = ServedModel()
    model.load_context(PythonModelContext({"bundle": str(bundle)}, {}))
    return model


def picture(seed: int = 0, width: int = 24, height: int = 16) -> str:
    """A picture of random pixels, base64 PNG."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def ask(model: ServedModel, **request: Any) -> Image.Image:
    """The picture that a model answers a request with."""
    (answer,) = model.predict(NO_CONTEXT, [Request(**request)])
    return Image.open(io.BytesIO(base64.b64decode(answer)))
