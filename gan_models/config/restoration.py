"""The section of the recipe that edits images."""

from typing import Literal

from pydantic import Field

from gan_models.config.degradations import Degradation, Denoise, Inpaint
from gan_models.config.recipe import RecipeSection


class RestoreConfig(RecipeSection):
    """One editing network for several degradations: PSNR alone first, adversarial and feature terms afterwards."""

    name: Literal["restore"] = "restore"
    width: int = Field(24, ge=4)
    blocks: tuple[int, ...] = Field((1, 1, 1, 2), description="blocks per resolution, finest first, coarsest last")
    degradations: tuple[Degradation, ...] = (Denoise(), Inpaint())
    learning_rate: float = Field(2e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    decay: float = Field(0.95, ge=0, le=1)
    warm_up: float = Field(0.05, ge=0, le=1)
    adversarial_from: float = Field(0.7, ge=0, le=1, description="share of the steps after which the GAN terms begin")
    adversarial_weight: float = Field(0.005, ge=0)
    feature_matching_weight: float = Field(0.1, ge=0)
