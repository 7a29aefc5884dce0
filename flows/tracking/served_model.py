"""The MLflow pyfunc around a bundle, as models-from-code: MLflow runs this file, nothing is pickled.

`mlflow models serve -m models:/<name>@champion` serves it. Pictures travel as base64 PNG.
"""

import base64
import io
import struct
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from gan_models.tasks import TASKS

MAX_PIXELS = 4_000_000  # of a picture that comes in, and of one that goes out
MAX_REQUESTS = 64  # of a call
MAX_SECONDS = 60.0  # of a call: no further request of it is begun after that


class Request(BaseModel):
    """One picture asked for. Pictures are base64 PNG; which fields count depends on what the model does."""

    model_config = ConfigDict(extra="forbid")

    label: str | None = Field(None, description="what a conditional generator should draw")
    seed: int = Field(0, ge=0, lt=2**31, description="of a generator: another seed, another picture")
    truncation: float = Field(1.0, ge=0, le=1, description="of a generator: below 1 less varied and more typical")
    image: str | None = Field(None, description="the picture to edit, translate or repaint")
    mask: str | None = Field(None, description="of an editing model: white where the picture has holes, of its size")
    scale: int = Field(1, ge=1, le=8, description="of an editing model: how many times larger the picture is to be")
    reverse: bool = Field(False, description="of a translation model with two directions: from target to source")
    style: str | None = Field(None, description="of a style model: one of the styles that it knows")
    style_image: str | None = Field(None, description="of a style model: a picture whose style to take")
    alpha: float = Field(1.0, ge=0, le=1, description="of a style model: how much of the style; 0 leaves the picture")


class ServedModel(PythonModel):
    """Answers a list of requests with as many base64 PNGs, in order."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the bundle."""
        from gan_models.bundles.bundle import load_bundle

        self.bundle = load_bundle(Path(context.artifacts["bundle"]))

    def predict(  # type: ignore[override]  # MLflow reads the request schema off this narrower type
        self, context: PythonModelContext, model_input: list[Request]
    ) -> list[str]:
        """Return a picture for each request.

        Raises:
            ValueError: this model cannot answer a request, or the call is too large; the message has the remedy.
        """
        if len(model_input) > MAX_REQUESTS:
            raise ValueError(f"a call has at most {MAX_REQUESTS} requests, this one {len(model_input):,}; send several")
        answers = {
            "generate": self._generated,
            "restore": self._restored,
            "translate": self._translated,
            "stylize": self._stylized,
        }
        task = self.bundle.task
        fields = TASKS[task].fields
        for request in model_input:
            foreign = [
                name
                for name, field in Request.model_fields.items()
                if name not in fields and getattr(request, name) != field.default
            ]
            if foreign:
                raise ValueError(
                    f"this {self.bundle.recipe.name} model does not take {_listed(foreign)}; it takes {_listed(fields)}"
                )
        answered, end = list[str](), time.monotonic() + MAX_SECONDS
        for request in model_input:
            if time.monotonic() > end:
                raise ValueError(
                    f"{len(answered)} of {len(model_input)} requests took {MAX_SECONDS:g} s; send fewer in a call"
                )
            answered.append(_encode(answers[task](request)[0]))
        return answered

    def _generated(self, request: Request) -> Any:  # noqa: ANN401
        import torch

        from gan_models.inference.generate import generate

        names = self.bundle.label_names if self.bundle.recipe.uses_labels else ()
        if not names and request.label is not None:
            raise ValueError("'label' is asked for, and this model was trained without labels; leave it out")
        if names and request.label not in names:
            raise ValueError(f"'label' has to be one of {', '.join(names)}; it is {request.label!r}")
        labels = torch.tensor([names.index(request.label)]) if names and request.label else None
        return generate(self.bundle, labels, num_images=1, seed=request.seed, truncation=request.truncation)

    def _restored(self, request: Request) -> Any:  # noqa: ANN401
        from gan_models.inference.restore import restore

        image = self._image(request)
        pixels = image.shape[-2] * image.shape[-1] * request.scale**2
        if pixels > MAX_PIXELS:
            raise ValueError(
                f"'scale' {request.scale} would make a picture of {pixels:,} pixels, and there are at most "
                f"{MAX_PIXELS:,}; send a smaller picture, or ask for a smaller scale"
            )
        mask = None if request.mask is None else _decode(request.mask, "L") > 127
        if mask is not None and mask.shape[-2:] != image.shape[-2:]:
            raise ValueError(f"'mask' has size {tuple(mask.shape[-2:])}, the image {tuple(image.shape[-2:])}")
        return restore(self.bundle, image, mask, scale=request.scale)

    def _translated(self, request: Request) -> Any:  # noqa: ANN401
        from gan_models.inference.translate import translate

        return translate(self.bundle, self._image(request), reverse=request.reverse)

    def _stylized(self, request: Request) -> Any:  # noqa: ANN401
        from gan_models.inference.stylize import stylize

        names = self.bundle.label_names
        if (request.style is None) == (request.style_image is None):
            raise ValueError(f"give one of 'style' ({', '.join(names)}) and 'style_image' (a picture, as base64 PNG)")
        if request.style is not None and request.style not in names:
            raise ValueError(f"'style' has to be one of {', '.join(names)}; it is {request.style!r}")
        style_image = None if request.style_image is None else _decode(request.style_image, self._mode)[0]
        image = self._image(request)
        return stylize(self.bundle, image, style=request.style, style_image=style_image, alpha=request.alpha)

    @property
    def _mode(self) -> str:
        return "RGB" if self.bundle.image.channels == 3 else "L"

    def _image(self, request: Request) -> Any:  # noqa: ANN401
        if request.image is None:
            raise ValueError("'image' is missing: the picture to work on, as base64 PNG")
        return _decode(request.image, self._mode)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _decode(text: str, mode: str) -> Any:  # noqa: ANN401
    """uint8 Tensor [1, C, H, W] from base64 PNG."""
    import torch

    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError(f"it has more than {MAX_PIXELS:,} pixels")
            array = np.array(picture.convert(mode))
    except Image.DecompressionBombError:
        raise ValueError(f"a picture has more than {MAX_PIXELS:,} pixels") from None
    except (ValueError, OSError, SyntaxError, EOFError, struct.error, zlib.error) as error:
        raise ValueError(f"a picture is not a base64 PNG that can be read: {error}") from None
    return torch.from_numpy(array.reshape(1, *array.shape[:2], -1)).permute(0, 3, 1, 2).contiguous()


def _encode(image: Any) -> str:  # noqa: ANN401
    """Return the base64 PNG of a uint8 Tensor [C, H, W]."""
    array = image.permute(1, 2, 0).cpu().numpy()
    stream = io.BytesIO()
    Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


mlflow.models.set_model(ServedModel())
