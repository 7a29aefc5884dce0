"""Degradations: what an editing model undoes. `name` is how tables and metrics call one."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gan_models.config.names import DegradationName
from gan_models.config.section import Section


class Denoise(Section):
    """Noise. Sigma is drawn uniformly from [sigma_min, sigma_max], on the 0-255 scale.

    gaussian: of one sigma everywhere. poisson: of photons, stronger where it is brighter, sigma being that at mid gray.
    """

    kind: Literal["denoise"] = "denoise"
    name: DegradationName = "denoise"
    noise: Literal["gaussian", "poisson"] = "gaussian"
    sigma_min: float = Field(5.0, gt=0, le=100)
    sigma_max: float = Field(50.0, gt=0, le=100)


class Inpaint(Section):
    """Holes to fill: random strokes or boxes, half and half, that cover about [share_min, share_max] of the image."""

    kind: Literal["inpaint"] = "inpaint"
    name: DegradationName = "inpaint"
    share_min: float = Field(0.05, gt=0, lt=1)
    share_max: float = Field(0.30, gt=0, lt=1)


class Deblur(Section):
    """A kernel that blurs, and a little noise after it.

    Sigma is the kernel's standard deviation, along its longest axis, drawn uniformly from [sigma_min, sigma_max], in
    pixels of an image whose shorter side is 64: kernels grow with the image, as holes do. `noise`: standard deviation
    on the 0-255 scale; one per cent of the range is what deconvolution is usually tested with.
    """

    kind: Literal["deblur"] = "deblur"
    name: DegradationName = "deblur"
    kernel: Literal["isotropic", "anisotropic", "motion", "any"] = "any"
    sigma_min: float = Field(0.5, gt=0, le=8)
    sigma_max: float = Field(2.5, gt=0, le=8)
    noise: float = Field(2.55, ge=0, le=50)


class SuperResolution(Section):
    """Images `factor` times smaller, enlarged again by bicubic interpolation: what is lost on the way is restored.

    bicubic: reduced by bicubic interpolation with antialiasing. real: reduced by the chain of Real-ESRGAN, which
    blurs, resizes, adds noise and compresses as JPEG, twice (Wang et al. 2021, arXiv 2107.10833).
    """

    kind: Literal["super_resolution"] = "super_resolution"
    name: DegradationName = "super_resolution"
    factor: Literal[2, 4] = 4
    chain: Literal["bicubic", "real"] = "bicubic"


class Watermark(Section):
    """Text, once or in rows, or a logo's outline, blended over the image, with an opacity from the given range."""

    kind: Literal["watermark"] = "watermark"
    name: DegradationName = "watermark"
    opacity_min: float = Field(0.3, gt=0, le=1)
    opacity_max: float = Field(0.7, gt=0, le=1)

    @model_validator(mode="after")
    def _something_shows_through(self) -> "Watermark":
        if self.opacity_min > self.opacity_max:
            raise ValueError(f"opacity_min {self.opacity_min} should not be above opacity_max {self.opacity_max}")
        return self


Degradation = Annotated[
    Denoise | Inpaint | Deblur | SuperResolution | Watermark,
    Field(discriminator="kind"),
]
