"""Section of the recipe `vae`."""

from typing import Literal

from pydantic import Field

from gan_models.config.bounds import Betas, LearningRate, Width
from gan_models.config.recipes.generation import GenerationSection


class VaeConfig(GenerationSection):
    """Kingma & Welling 2013, convolutional: the baseline without an adversary, blurred but covering everything."""

    name: Literal["vae"] = "vae"
    width: Width = Field(32, description="channels at the finest resolution; doubled at each coarser one")
    latent_dim: int = Field(32, ge=1, le=65_536)
    beta: float = Field(
        1.0, ge=0, description="weight of the KL divergence (Higgins et al. 2017); below 1 reconstructs better"
    )
    learning_rate: LearningRate = 1e-3
    betas: Betas = (0.9, 0.999)
