"""Section of the recipe `r3gan`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gan_models.config.bounds import MAX_WIDTH, Betas, Blocks, LearningRate, Steps, Width
from gan_models.config.recipes.generation import GenerationSection


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
