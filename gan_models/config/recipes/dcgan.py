"""Section of the recipe `dcgan`."""

from typing import Literal

from pydantic import Field

from gan_models.config.bounds import Betas, LearningRate, Steps, Width
from gan_models.config.recipes.generation import GenerationSection


class DcganConfig(GenerationSection):
    """Radford et al. 2016, class-conditional by projection (Miyato & Koyama 2018) where the data has labels, with the
    R1 penalty and Adam's betas of Mescheder et al. 2018. Their own: batch norm, r1_gamma 0, 2e-4, betas .5 and .999.
    """

    name: Literal["dcgan"] = "dcgan"
    width: Width = Field(32, description="channels at the finest resolution; doubled at each coarser one")
    upsample: Literal["transposed", "nearest"] = Field(
        "transposed", description="nearest: pixels repeated and a 3x3 convolution, which leaves no checkerboards"
    )
    discriminator_norm: Literal["none", "spectral", "batch"] = "none"
    loss: Literal["non_saturating", "lsgan", "hinge", "relativistic"] = "non_saturating"
    r1_gamma: float = Field(
        2.0, ge=0, description="weight of the R1 penalty, which keeps variety within a label; 0 leaves it out"
    )
    r2_gamma: float = Field(0.0, ge=0, description="the same penalty at the generator's images")
    penalty_every: Steps = Field(1, description="steps from penalty to penalty; each then weighs as many times more")
    learning_rate: LearningRate = 5e-4
    betas: Betas = (0.0, 0.99)
    augment: Literal["none", "diffaugment", "adaptive"] = Field(
        "none",
        description="on both sides of the discriminator; adaptive: as often as it takes to keep it from memorizing",
    )
    augment_target: float = Field(
        0.6, ge=-1, le=1, description="adaptive: share of real images called real less that called fake, to aim for"
    )
    augment_images: float = Field(
        500_000, gt=0, le=1e12, description="adaptive: images over which the probability can go from 0 to 1"
    )
