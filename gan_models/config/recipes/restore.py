"""Section of the recipe `restore`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from gan_models.config.bounds import Betas, Blocks, LearningRate, Width
from gan_models.config.degradations import Degradation, Denoise, Inpaint
from gan_models.config.recipes.base import RecipeSection
from gan_models.config.task import Task

SSIM_WINDOW = 11  # pixels on a side, in all that measures or trains by SSIM


class RestoreConfig(RecipeSection):
    """One editing network for several degradations: PSNR first, adversarial and feature terms afterwards."""

    task: ClassVar[Task] = "restore"

    name: Literal["restore"] = "restore"
    width: Width = 24
    blocks: tuple[Blocks, ...] = Field(
        (1, 1, 1, 2), min_length=1, max_length=8, description="blocks per resolution, finest first, coarsest last"
    )
    degradations: tuple[Degradation, ...] = Field((Denoise(), Inpaint()), min_length=1)
    shares: tuple[Annotated[int, Field(ge=1, le=1_000)], ...] = Field(
        (), description="how many training images each degradation gets for every one of the others; () gives all one"
    )
    learning_rate: LearningRate = 2e-3
    betas: Betas = (0.9, 0.99)
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    decay: float = Field(0.95, ge=0, le=1)
    warm_up: float = Field(0.05, ge=0, le=1)
    ssim_weight: float = Field(0.0, ge=0, description="of 1 - SSIM, next to PSNR")
    adversarial_from: float = Field(0.7, ge=0, le=1, description="share of the steps after which the GAN terms begin")
    adversarial_weight: float = Field(0.005, ge=0)
    feature_matching_weight: float = Field(0.1, ge=0)
    perceptual_weight: float = Field(
        0.0, ge=0, description="of the distance in the features of a network trained on ImageNet, with the GAN terms"
    )

    @property
    def size_multiple(self) -> int:
        """Of which the sides of training images have to be: the network halves them once per resolution."""
        return 1 << (len(self.blocks) - 1)

    @model_validator(mode="after")
    def _each_degradation_has_a_share(self) -> "RestoreConfig":
        if self.shares and len(self.shares) != len(self.degradations):
            raise ValueError(
                f"shares has {len(self.shares)} numbers and there are {len(self.degradations)} degradations; give each "
                "one, or leave shares out"
            )
        return self

    def check_size(self, size: int) -> None:
        """Raise a ValueError where the network, or the loss, does not take images of `size` pixels a side."""
        super().check_size(size)
        if self.ssim_weight and size < SSIM_WINDOW:
            raise ValueError(
                f"SSIM takes images of {SSIM_WINDOW} pixels or more, and image.size is {size}; "
                "set recipe.ssim_weight to 0"
            )
