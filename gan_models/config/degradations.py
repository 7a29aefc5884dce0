"""Degradations: what an editing model undoes. `name` is how tables and metrics call one."""

from typing import Annotated, Literal

from pydantic import Field

from gan_models.config.section import Section


class Denoise(Section):
    """Additive Gaussian noise. Sigma is drawn uniformly from [sigma_min, sigma_max], on the 0-255 scale."""

    kind: Literal["denoise"] = "denoise"
    name: str = "denoise"
    sigma_min: float = Field(5.0, gt=0, le=100)
    sigma_max: float = Field(50.0, gt=0, le=100)


class Inpaint(Section):
    """Holes to fill: random strokes or boxes, half and half, that cover about [share_min, share_max] of the image."""

    kind: Literal["inpaint"] = "inpaint"
    name: str = "inpaint"
    share_min: float = Field(0.05, gt=0, lt=1)
    share_max: float = Field(0.30, gt=0, lt=1)


Degradation = Annotated[Denoise | Inpaint, Field(discriminator="kind")]
