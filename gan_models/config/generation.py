"""Sections of the recipes that draw images out of noise."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from gan_models.config.bounds import MAX_WIDTH, Betas, Blocks, LearningRate, Steps, Width
from gan_models.config.recipe import RecipeSection, Task


class GenerationSection(RecipeSection):
    """What all of them share."""

    task: ClassVar[Task] = "generate"

    latent_dim: int = Field(100, ge=1, le=65_536)
    conditional: bool = Field(True, description="draw the label that is asked for, where the data has labels")

    @property
    def uses_labels(self) -> bool:
        """Whether the label to draw can be asked for."""
        return self.conditional


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


class R3ganConfig(GenerationSection):
    """Huang et al. 2024: relativistic pairing loss, R1 and R2, residual networks without normalization.

    `gamma` is what decides over a new data set, and cannot be carried over from another: 0.05, 2 and 150 are published
    for CIFAR-10, FFHQ-64 and FFHQ-256. To find it, train short runs at 1, 4, 16, ... times the default, keep the one of
    the lowest Fréchet distance, then try half and twice that. Too low, images break up and the gradient norm of the
    discriminator grows; too high, they are blurred and alike.
    """

    name: Literal["r3gan"] = "r3gan"
    width: Width = Field(64, description="channels at the coarse resolutions, at most")
    finest_width: Width | None = Field(
        None,
        description="channels at the finest resolution, doubled at each coarser one up to width; None: width",
    )
    blocks: Blocks = Field(1, description="residual blocks at each resolution")
    group_width: Annotated[int, Field(ge=1, le=MAX_WIDTH)] | None = Field(
        None,
        description="channels per group of the 3x3 convolutions, 16 in the paper; None: no groups, as CPUs like",
    )
    latent_dim: int = Field(64, ge=1, le=65_536)
    output: Literal["linear", "tanh"] = Field(
        "linear", description="tanh: black and white come out clean, for drawings and the like; linear in the paper"
    )
    gamma: float | None = Field(
        None, gt=0, description="weight of R1 and R2; None: 0.0002 size² / batch_size, a start to scan from"
    )
    final_gamma: float = Field(0.1, gt=0, le=1, description="where gamma goes, as a share of it")
    final_beta2: float = Field(0.99, ge=0, lt=1, description="where the second of betas goes")
    augment_probability: float = Field(
        0.0, ge=0, le=1, description="where the probability of each augmentation goes, from 0"
    )
    burn_in: float = Field(1.0, gt=0, le=1, description="share of the steps, the first, over which these go there")
    penalty_every: Steps = Field(1, description="steps from penalty to penalty; each then weighs as many times more")
    learning_rate: LearningRate = 2e-4
    betas: Betas = (0.0, 0.9)
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    decay: float = Field(1.0, ge=0, le=1, description="share of the steps, the last, over which the rate falls")
    final_learning_rate: float = Field(0.25, ge=0, le=1, description="where it falls to, as a share of learning_rate")

    @model_validator(mode="after")
    def _groups_divide_the_widths(self) -> "R3ganConfig":
        finest = self.finest_width or self.width
        if self.group_width and (2 * self.width % self.group_width or 2 * finest % self.group_width):
            raise ValueError(
                f"group_width {self.group_width} has to divide twice width ({self.width}) and finest_width ({finest})"
            )
        return self


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
