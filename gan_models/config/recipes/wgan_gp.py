"""Section of the recipe `wgan_gp`."""

from typing import Literal

from pydantic import Field

from gan_models.config.bounds import Betas, LearningRate, Width
from gan_models.config.recipes.generation import GenerationSection


class WganGpConfig(GenerationSection):
    """Gulrajani et al. 2017 on the networks of `dcgan`, without batch norm in the discriminator."""

    name: Literal["wgan_gp"] = "wgan_gp"
    width: Width = Field(32, description="channels at the finest resolution; doubled at each coarser one")
    upsample: Literal["transposed", "nearest"] = "nearest"
    penalty: float = Field(10.0, gt=0, description="weight of the gradient penalty")
    discriminator_steps: int = Field(
        5, ge=1, le=1_000, description="updates of the discriminator for one of the generator"
    )
    learning_rate: LearningRate = 1e-4
    betas: Betas = (0.0, 0.9)
