"""The MLflow pyfunc around a bundle, as models-from-code: MLflow runs this file, nothing is pickled.

`mlflow models serve -m models:/<name>@champion` serves it. Pictures travel as base64 PNG.
"""

import base64
import io
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

MAX_PIXELS = 4_000_000


class Request(BaseModel):
    """One picture asked for: `label` and `seed` of a generator, `image` and `mask` (base64 PNG) of an editing model."""

    model_config = ConfigDict(extra="forbid")

    label: str | None = Field(None, description="what a conditional generator should draw")
    seed: int = Field(0, ge=0, lt=2**31)
    image: str | None = Field(None, description="the picture to edit, base64 PNG")
    mask: str | None = Field(None, description="white where the picture has holes, base64 PNG of the same size")


class ServedModel(PythonModel):
    """Answers a list of requests with as many base64 PNGs, in order."""

    def load_context(self, context: PythonModelContext) -> None:
        from gan_models.inference.bundle import load_bundle

        self.bundle = load_bundle(Path(context.artifacts["bundle"]))

    def predict(  # type: ignore[override]  # MLflow reads the request schema off this narrower type
        self, context: PythonModelContext, model_input: list[Request]
    ) -> list[str]:
        """Raises ValueError with the remedy for a request that this model cannot answer."""
        answer = self._restored if self.bundle.task == "restore" else self._generated
        return [answer(request) for request in model_input]

    def _generated(self, request: Request) -> str:
        import torch

        from gan_models.inference.generate import generate

        names = self.bundle.label_names
        if names and request.label not in names:
            raise ValueError(f"'label' has to be one of {', '.join(names)}; it is {request.label!r}")
        labels = torch.tensor([names.index(request.label)]) if names and request.label else None
        return _encode(generate(self.bundle, labels, num_images=1, seed=request.seed)[0])

    def _restored(self, request: Request) -> str:
        from gan_models.inference.restore import restore

        if request.image is None:
            raise ValueError("'image' is missing: the picture to edit, as base64 PNG")
        image = _decode(request.image, "RGB" if self.bundle.image.channels == 3 else "L")
        mask = None if request.mask is None else _decode(request.mask, "L") > 127
        if mask is not None and mask.shape[-2:] != image.shape[-2:]:
            raise ValueError(f"'mask' has size {tuple(mask.shape[-2:])}, the image {tuple(image.shape[-2:])}")
        return _encode(restore(self.bundle, image, mask)[0])


def _decode(text: str, mode: str) -> Any:  # noqa: ANN401
    """uint8 Tensor [1, C, H, W] from base64 PNG."""
    import torch

    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError(f"it has more than {MAX_PIXELS:,} pixels")
            array = np.array(picture.convert(mode))
    except (ValueError, OSError, SyntaxError) as error:
        raise ValueError(f"a picture is not a base64 PNG that can be read: {error}") from None
    return torch.from_numpy(array.reshape(1, *array.shape[:2], -1)).permute(0, 3, 1, 2).contiguous()


def _encode(image: Any) -> str:  # noqa: ANN401
    """Base64 PNG of a uint8 Tensor [C, H, W]."""
    array = image.permute(1, 2, 0).cpu().numpy()
    stream = io.BytesIO()
    Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


mlflow.models.set_model(ServedModel())
