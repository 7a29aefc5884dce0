"""Sections of the recipes that draw images out of noise."""

from typing import Literal

from pydantic import Field

from gan_models.config.recipe import RecipeSection


class DcganConfig(RecipeSection):
    """Radford et al. 2016, class-conditional by projection (Miyato & Koyama 2018) where the data has labels, with the
    R1 penalty and Adam's betas of Mescheder et al. 2018. Their own: batch norm, r1_gamma 0, 2e-4, betas .5 and .999."""

    name: Literal["dcgan"] = "dcgan"
    width: int = Field(32, ge=4, description="channels at the finest resolution; doubled at each coarser one")
    latent_dim: int = Field(100, ge=1)
    conditional: bool = True
    discriminator_norm: Literal["none", "spectral", "batch"] = "none"
    r1_gamma: float = Field(
        2.0, ge=0, description="weight of the R1 penalty, which keeps variety within a label; 0 leaves it out"
    )
    loss: Literal["non_saturating", "lsgan", "hinge"] = "non_saturating"
    learning_rate: float = Field(5e-4, gt=0)
    betas: tuple[float, float] = (0.0, 0.99)
    augment: bool = Field(False, description="DiffAugment on both sides of the discriminator")
